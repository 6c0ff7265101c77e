// What the shared libraries show: everything else has hidden visibility.
#pragma once

#define JACQUARD_API __attribute__((visibility("default")))

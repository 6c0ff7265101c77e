// All of Jacquard's layers, losses and optimizers.
#pragma once

#include "jacquard/nn/adam.h"
#include "jacquard/nn/checkpoint_sequential.h"
#include "jacquard/nn/init.h"
#include "jacquard/nn/linear.h"
#include "jacquard/nn/loss.h"
#include "jacquard/nn/sgd.h"

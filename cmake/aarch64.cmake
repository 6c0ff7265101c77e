# Cross-compiles for 64-bit ARM Linux with Debian's g++-aarch64-linux-gnu. It
# needs arm64's libtbb-dev, libdnnl-dev and ocl-icd-opencl-dev: installed after
# `dpkg --add-architecture arm64`, or unpacked into a folder that
# -DCMAKE_FIND_ROOT_PATH, -DTBB_DIR and -Ddnnl_DIR name.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_LIBRARY_ARCHITECTURE aarch64-linux-gnu)
set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)

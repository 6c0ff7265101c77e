#!/bin/sh
# on_cuda.sh EMULATOR_DIR COMMAND…: runs a program on CUDA: on the GPU if there
# is one, else on the PTX emulator, and says which. There kernels are compiled
# with $JACQUARD_EMULATOR_NVRTC_OPTIONS.
emulator=$1
shift
gpu=$(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -n 1)
if [ -n "$gpu" ]; then
  echo "CUDA: on $gpu"
else
  echo "CUDA: on the PTX emulator"
  LD_LIBRARY_PATH=$emulator${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}
  JACQUARD_NVRTC_OPTIONS=$JACQUARD_EMULATOR_NVRTC_OPTIONS
  export LD_LIBRARY_PATH JACQUARD_NVRTC_OPTIONS
fi
JACQUARD_DEVICE=cuda exec "$@"

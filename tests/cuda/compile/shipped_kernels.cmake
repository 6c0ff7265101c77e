# Compiles every .cu of the backend to machine code and fails if a kernel keeps
# anything in local memory: a stack frame (arrays that are indexed at run time)
# or spilled registers. Prints what ptxas says of each kernel.
#   cmake -DNVCC=… -DOPTIONS=… -DSOURCE_DIR=… -DWORK_DIR=… -P …
set(architectures 80 90 100)

set(codes "")
foreach(architecture IN LISTS architectures)
  list(APPEND codes
    "-gencode=arch=compute_${architecture},code=sm_${architecture}")
endforeach()
separate_arguments(options UNIX_COMMAND "${OPTIONS}")
find_program(cxxfilt c++filt)
file(MAKE_DIRECTORY "${WORK_DIR}")

# Sets `log` to what nvcc and ptxas say, an error if they fail.
function(compile source log)
  execute_process(
    COMMAND "${NVCC}" ${options} ${codes} -Xptxas=-v --fatbin
      "-I${SOURCE_DIR}" "-I${SOURCE_DIR}/core/include"
      -o "${WORK_DIR}/kernels.fatbin" "${source}"
    OUTPUT_VARIABLE said ERROR_VARIABLE said RESULT_VARIABLE result)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${source} does not compile:\n${said}")
  endif()
  if(cxxfilt)
    file(WRITE "${WORK_DIR}/log" "${said}")
    execute_process(COMMAND "${cxxfilt}" INPUT_FILE "${WORK_DIR}/log"
      OUTPUT_VARIABLE said)
  endif()
  set(${log} "${said}" PARENT_SCOPE)
endfunction()

# "jacquard::cuda_backend::(anonymous namespace)::k<float>(int*)" → "k<float>"
function(shorten name short)
  string(REGEX REPLACE "\\(anonymous namespace\\)::" "" name "${name}")
  string(REGEX REPLACE "^void " "" name "${name}")
  string(REGEX REPLACE "\\(.*" "" name "${name}")
  string(REGEX REPLACE "[a-zA-Z_0-9]+::" "" name "${name}")
  string(LENGTH "${name}" length)
  if(length GREATER 48)
    string(SUBSTRING "${name}" 0 47 name)
    string(APPEND name "…")
  endif()
  set(${short} "${name}" PARENT_SCOPE)
endfunction()

function(pad text width padded)
  string(LENGTH "${text}" length)
  while(length LESS width)
    string(PREPEND text " ")
    math(EXPR length "${length} + 1")
  endwhile()
  set(${padded} "${text}" PARENT_SCOPE)
endfunction()

# Sets `lines` to a line for each kernel, `count` to their number and `bad` to
# the lines of those that use local memory.
function(read_log log lines count bad)
  set(all "")
  set(kernels 0)
  set(found "")
  # Brackets and semicolons would break the lists of lines.
  string(REGEX REPLACE "[][;]" "" log "${log}")
  string(REPLACE "\n" ";" log "${log}")
  set(name "")
  foreach(line IN LISTS log)
    if(line MATCHES "Compiling entry function '(.*)' for '(sm_[0-9a-z]+)'")
      set(architecture "${CMAKE_MATCH_2}")
      shorten("${CMAKE_MATCH_1}" name)
    elseif(line MATCHES "([0-9]+) bytes stack frame, ([0-9]+) bytes spill s[a-z]+, ([0-9]+) bytes spill")
      set(stack ${CMAKE_MATCH_1})
      math(EXPR spilled "${CMAKE_MATCH_2} + ${CMAKE_MATCH_3}")
    elseif(line MATCHES "Used ([0-9]+) registers" AND NOT name STREQUAL "")
      set(registers ${CMAKE_MATCH_1})
      set(shared 0)
      if(line MATCHES "([0-9]+) bytes smem")
        set(shared ${CMAKE_MATCH_1})
      endif()
      math(EXPR kernels "${kernels} + 1")
      pad(${architecture} 6 architecture)
      pad(${registers} 10 registers)
      pad(${shared} 8 shared)
      pad(${stack} 7 frame)
      pad(${spilled} 9 spills)
      set(row "${architecture}${registers}${shared}${frame}${spills}  ${name}")
      string(APPEND all "${row}\n")
      if(stack GREATER 0 OR spilled GREATER 0)
        string(APPEND found "${row}\n")
      endif()
      set(name "")
    endif()
  endforeach()
  set(${lines} "${all}" PARENT_SCOPE)
  set(${count} ${kernels} PARENT_SCOPE)
  set(${bad} "${found}" PARENT_SCOPE)
endfunction()

list(LENGTH architectures architecture_count)

# What is looked for is found where it is.
file(WRITE "${WORK_DIR}/uses_local_memory.cu" "
__global__ void array(int* x, int n) {
  int kept[64] = {};
  for (int i = 0; i < n; ++i) kept[x[i]] += i;
  x[n] = kept[n];
}
__global__ void __maxnreg__(24) spills(float* x) {
  float kept[48];
  for (int i = 0; i < 48; ++i) kept[i] = x[i * i];
  __syncthreads();
  for (int i = 0; i < 48; ++i) x[i + 1] = kept[47 - i];
}
__global__ void neither(int* x) { x[0] = 1; }
")
compile("${WORK_DIR}/uses_local_memory.cu" log)
read_log("${log}" rows kernels bad)
string(REGEX MATCHALL "array|spills" named "${bad}")
list(LENGTH named named)
math(EXPR expected "2 * ${architecture_count}")
if(NOT named EQUAL expected OR bad MATCHES "neither")
  message(FATAL_ERROR "the check misreads ptxas, which said\n${log}")
endif()

file(GLOB_RECURSE sources "${SOURCE_DIR}/cuda/*.cu")
if(NOT sources)
  message(FATAL_ERROR "no .cu files in ${SOURCE_DIR}/cuda")
endif()
set(table "")
set(times "")
set(all_bad "")
set(all_kernels 0)
foreach(source IN LISTS sources)
  file(RELATIVE_PATH relative "${SOURCE_DIR}" "${source}")
  string(TIMESTAMP start "%s")
  compile("${source}" log)
  string(TIMESTAMP end "%s")
  math(EXPR seconds "${end} - ${start}")
  read_log("${log}" rows kernels bad)
  string(APPEND table "${rows}")
  math(EXPR remainder "${kernels} % ${architecture_count}")
  if(kernels EQUAL 0 OR NOT remainder EQUAL 0)
    message(FATAL_ERROR "${relative}: ptxas told of ${kernels} kernels:\n${log}")
  endif()
  math(EXPR all_kernels "${all_kernels} + ${kernels}")
  string(APPEND times "  ${relative}: ${kernels} kernels, ${seconds} s\n")
  string(APPEND all_bad "${bad}")
endforeach()
message("      registers  shared  stack  spilled  kernel\n${table}\n${times}")
if(NOT all_bad STREQUAL "")
  message(FATAL_ERROR "kernels that use local memory:\n${all_bad}")
endif()
message("${all_kernels} kernels, none uses local memory")

# What every target of ours is built with; no global flags.
option(BACKUPKIT_WERROR "Warnings are errors" OFF)
option(BACKUPKIT_TESTS "Build the C++ tests (needs GoogleTest)" ON)
option(BACKUPKIT_FUZZ "Build the fuzzers (needs Clang)" OFF)
set(BACKUPKIT_SANITIZE "" CACHE STRING "Sanitizers for every target, e.g. address,undefined")
set(BACKUPKIT_JNI_INCLUDE "" CACHE PATH "A JDK's include folder; empty: no Java bridge")

add_library(backupkit_options INTERFACE)
target_compile_features(backupkit_options INTERFACE cxx_std_23)
target_include_directories(backupkit_options INTERFACE ${PROJECT_SOURCE_DIR}
                                                       ${PROJECT_SOURCE_DIR}/include)
target_compile_definitions(
  backupkit_options
  INTERFACE _FILE_OFFSET_BITS=64 _TIME_BITS=64
            $<$<NOT:$<CONFIG:Debug>>:_FORTIFY_SOURCE=2> $<$<NOT:$<CONFIG:Release>>:_GLIBCXX_ASSERTIONS>)
target_compile_options(
  backupkit_options
  INTERFACE -fvisibility=hidden -fstack-protector-strong $<$<BOOL:${BACKUPKIT_WERROR}>:-Werror>
            -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wold-style-cast -Wcast-qual
            -Wnon-virtual-dtor -Woverloaded-virtual -Wformat=2 -Wundef -Wvla -Wimplicit-fallthrough)
# What is built is the same wherever it is built.
set(prefix_maps "$<$<NOT:$<CONFIG:Debug>>:-ffile-prefix-map=${PROJECT_SOURCE_DIR}=.>"
                "$<$<NOT:$<CONFIG:Debug>>:-ffile-prefix-map=${PROJECT_BINARY_DIR}=build>")
target_compile_options(backupkit_options INTERFACE ${prefix_maps})
# What a program does not use is left out of it.
if(NOT BACKUPKIT_FUZZ AND NOT BACKUPKIT_SANITIZE)
  target_compile_options(backupkit_options
                         INTERFACE "$<$<NOT:$<CONFIG:Debug>>:-ffunction-sections;-fdata-sections>")
  target_link_options(backupkit_options INTERFACE $<$<NOT:$<CONFIG:Debug>>:-Wl,--gc-sections>)
endif()
if(CMAKE_INTERPROCEDURAL_OPTIMIZATION AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  # What is compiled at last by the linker says where: the build's id is a hash of that, too.
  target_link_options(backupkit_options INTERFACE ${prefix_maps})
  # What only the linker sees: one name for two things.
  target_link_options(backupkit_options INTERFACE $<$<BOOL:${BACKUPKIT_WERROR}>:-Werror=odr>
                                                  $<$<BOOL:${BACKUPKIT_WERROR}>:-Werror=lto-type-mismatch>)
endif()
if(CMAKE_CXX_COMPILER_ID MATCHES Clang)
  # As libstdc++'s own stable_sort calls the deprecated get_temporary_buffer; GCC still warns of ours.
  target_compile_options(backupkit_options INTERFACE -Wno-deprecated-declarations)
endif()
if(CMAKE_SYSTEM_PROCESSOR STREQUAL arm AND CMAKE_CXX_COMPILER_ID STREQUAL GNU)
  # Everything is built by one compiler, so how GCC 6 passed a parameter does not matter.
  target_compile_options(backupkit_options INTERFACE -Wno-psabi)
endif()
target_link_options(backupkit_options INTERFACE -Wl,-z,relro,-z,now -Wl,--as-needed)
if(BACKUPKIT_FUZZ)
  target_compile_options(backupkit_options INTERFACE -fsanitize=fuzzer-no-link)
endif()
if(BACKUPKIT_SANITIZE)
  target_compile_definitions(backupkit_options INTERFACE BACKUPKIT_SANITIZED)
  target_compile_options(backupkit_options INTERFACE -fsanitize=${BACKUPKIT_SANITIZE}
                                                     -fno-sanitize-recover=all)
  target_link_options(backupkit_options INTERFACE -fsanitize=${BACKUPKIT_SANITIZE})
endif()

# One layer: a static library that sees the layers named in DEPENDS and nothing above them.
function(backupkit_layer name)
  cmake_parse_arguments(LAYER "" "" "SOURCES;DEPENDS" ${ARGN})
  list(TRANSFORM LAYER_SOURCES PREPEND native/${name}/)
  add_library(backupkit_${name} STATIC ${LAYER_SOURCES})
  set_target_properties(backupkit_${name} PROPERTIES POSITION_INDEPENDENT_CODE ON)
  list(TRANSFORM LAYER_DEPENDS PREPEND backupkit_)
  target_link_libraries(backupkit_${name} PUBLIC ${LAYER_DEPENDS} backupkit_options)
  target_compile_options(backupkit_${name} PRIVATE -Wsign-conversion)
endfunction()

# GTest::gtest_main: the library of the distribution, or where it has none for the machine, one of
# the sources that Debian's package googletest brings.
function(backupkit_googletest)
  find_package(GTest QUIET GLOBAL)
  if(NOT GTest_FOUND)
    set(INSTALL_GTEST OFF)
    add_subdirectory(/usr/src/googletest/googletest ${PROJECT_BINARY_DIR}/googletest EXCLUDE_FROM_ALL SYSTEM)
  endif()
endfunction()

# tests/native/<name>_test.cc as the ctest <name>, linked with the layers named after it.
function(backupkit_test name)
  add_executable(${name}_test tests/native/${name}_test.cc)
  list(TRANSFORM ARGN PREPEND backupkit_ OUTPUT_VARIABLE layers)
  target_link_libraries(${name}_test PRIVATE ${layers} GTest::gtest_main backupkit_options)
  # Clang's -Wconversion implies it, GCC's does not; the layers turn it on themselves.
  target_compile_options(${name}_test PRIVATE -Wno-sign-conversion)
  # All about variables would take a quarter of the compiler's time.
  target_compile_options(${name}_test PRIVATE $<$<NOT:$<CONFIG:Debug>>:-g1>)
  add_test(NAME ${name} COMMAND ${name}_test)
  set_tests_properties(${name} PROPERTIES TIMEOUT 300)
endfunction()

# tests/fuzz/<name>_fuzzer.cc as a program of libFuzzer, and as the ctest <name>_fuzzer, which runs
# what is in the corpus and then makes new inputs of it for some seconds. What is named behind these
# goes to libFuzzer. `fuzzers` builds them all.
function(backupkit_fuzzer name layer corpus seconds)
  add_executable(${name}_fuzzer tests/fuzz/${name}_fuzzer.cc)
  target_link_libraries(${name}_fuzzer PRIVATE backupkit_${layer} backupkit_options)
  target_link_options(${name}_fuzzer PRIVATE -fsanitize=fuzzer)
  file(MAKE_DIRECTORY ${PROJECT_BINARY_DIR}/corpus/${name})
  add_test(NAME ${name}_fuzzer
           COMMAND ${name}_fuzzer -seed=1 -max_total_time=${seconds} -max_len=65536 -print_final_stats=1 ${ARGN}
                   ${PROJECT_BINARY_DIR}/corpus/${name} ${PROJECT_SOURCE_DIR}/${corpus})
  if(NOT TARGET fuzzers)
    add_custom_target(fuzzers)
  endif()
  add_dependencies(fuzzers ${name}_fuzzer)
endfunction()

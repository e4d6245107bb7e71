# Builds what a device with ARM loads, stripped and below the names of native-lib-loader:
#   cmake -DJNI_INCLUDE=<JDK>/include -DBUILD=<folder> -DOUTPUT=<folder> -P native/cmake/cross_build.cmake
cmake_path(SET top NORMALIZE ${CMAKE_CURRENT_LIST_DIR}/../..)
foreach(platform linux_arm64 linux_arm)
  set(machine armhf)
  if(platform STREQUAL linux_arm64)
    set(machine aarch64)
  endif()
  string(REPLACE linux_ "" folder ${platform})
  set(build ${BUILD}/${folder})
  execute_process(
    COMMAND ${CMAKE_COMMAND} -S ${top} -B ${build} -G Ninja -DCMAKE_BUILD_TYPE=RelWithDebInfo
            -DCMAKE_TOOLCHAIN_FILE=${CMAKE_CURRENT_LIST_DIR}/toolchain-${machine}.cmake
            -DCMAKE_INTERPROCEDURAL_OPTIMIZATION=ON -DBACKUPKIT_TESTS=OFF -DBACKUPKIT_WERROR=ON -DBACKUPKIT_JNI_INCLUDE=${JNI_INCLUDE}
    COMMAND_ERROR_IS_FATAL ANY)
  execute_process(COMMAND ${CMAKE_COMMAND} --build ${build} COMMAND_ERROR_IS_FATAL ANY)
  execute_process(
    COMMAND ${CMAKE_COMMAND} --install ${build} --component jar --prefix ${OUTPUT}/${platform} --strip
    COMMAND_ERROR_IS_FATAL ANY)
endforeach()

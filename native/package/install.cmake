# What `cmake --install` and the packages have, by component:
#   service      backupd and what the system needs to run it
#   development  the C++ client for find_package(BackupKit), without what is above the client layer
#   jar          what Maven packs into the jar, flat; only where it is asked for by its name
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

# One library instead of one for each layer: those are nobody else's business, nor are our flags.
add_library(backupkit_cpp STATIC)
foreach(layer client protocol io base)
  target_sources(backupkit_cpp PRIVATE $<TARGET_OBJECTS:backupkit_${layer}>)
endforeach()
set_target_properties(backupkit_cpp PROPERTIES OUTPUT_NAME backupkit EXPORT_NAME backupkit LINKER_LANGUAGE CXX)
target_compile_features(backupkit_cpp PUBLIC cxx_std_23)
target_include_directories(backupkit_cpp INTERFACE $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>)

install(TARGETS backupd RUNTIME DESTINATION . COMPONENT jar EXCLUDE_FROM_ALL)
install(TARGETS backupd RUNTIME DESTINATION ${CMAKE_INSTALL_SBINDIR} COMPONENT service)
if(TARGET backupkit)
  install(TARGETS backupkit LIBRARY DESTINATION . COMPONENT jar EXCLUDE_FROM_ALL)
endif()

set(config ${CMAKE_INSTALL_LIBDIR}/cmake/BackupKit)
install(TARGETS backupkit_cpp EXPORT BackupKit ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
                                               COMPONENT development)
install(DIRECTORY include/backupkit DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)
install(EXPORT BackupKit NAMESPACE BackupKit:: FILE BackupKitConfig.cmake DESTINATION ${config}
        COMPONENT development)
write_basic_package_version_file(${PROJECT_BINARY_DIR}/BackupKitConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/BackupKitConfigVersion.cmake DESTINATION ${config}
        COMPONENT development)

# What `cpack` makes of the components service and command: one .deb.
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME backupkit)
set(CPACK_PACKAGE_CONTACT "BackupKit maintainers <maintainers@users.noreply.github.com>")
set(CPACK_COMPONENTS_ALL service)
set(CPACK_COMPONENTS_GROUPING ALL_COMPONENTS_IN_ONE)
set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE
                                                WORLD_READ WORLD_EXECUTE)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
    "Backup and restore of the data of the apps on a device
A service that gives programs which may back up a device open descriptors of
the apps' files instead of bytes, and restores wholly or not at all. What an
app has is read and written by a process of its own, as the app's user.")
set(architecture_x86_64 amd64)
set(architecture_aarch64 arm64)
set(architecture_arm armhf)
set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE ${architecture_${CMAKE_SYSTEM_PROCESSOR}})
# Of shared libraries backupd needs the C library's alone; dpkg-shlibdeps knows none of a cross build.
set(CPACK_DEBIAN_PACKAGE_DEPENDS "libc6 (>= 2.36), init-system-helpers (>= 1.54~)")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
set(CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${CMAKE_CURRENT_LIST_DIR}/postinst ${CMAKE_CURRENT_LIST_DIR}/prerm
                                       ${CMAKE_CURRENT_LIST_DIR}/postrm)
if(BACKUPKIT_JAVA)
  list(APPEND CPACK_COMPONENTS_ALL command)
  set(CPACK_DEBIAN_PACKAGE_RECOMMENDS java17-runtime-headless)
endif()
include(CPack)

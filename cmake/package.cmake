# Debian packages: `cpack --preset release`, or scripts/package, which makes
# them the same byte for byte each time.
#
#	bttfs       the daemon, the tools, units, manuals, completion
#	libbtt-dev  the engine as a static library: headers, pkg-config, manual
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME bttfs)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT "bttfs maintainers <maintainers@bttfs.example>")
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_COMPONENTS_ALL runtime development)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
  OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE
  WORLD_READ WORLD_EXECUTE)

set(CPACK_DEB_COMPONENT_INSTALL ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
set(CPACK_DEBIAN_PACKAGE_PRIORITY optional)

set(CPACK_DEBIAN_RUNTIME_PACKAGE_NAME bttfs)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_DEPENDS "fuse3")
set(CPACK_DEBIAN_RUNTIME_DESCRIPTION
"disks whose sectors do not tear, shown as files
bttfs turns persistent memory, files and block devices into disks on which
a power cut in the middle of a write leaves every sector wholly old or
wholly new. It keeps the format of the Linux kernel's Block Translation
Table and shows each disk as a file in a FUSE mount: for programs, for loop
devices, for virtual machines.")
set(CPACK_DEBIAN_RUNTIME_PACKAGE_CONTROL_EXTRA
  ${PROJECT_SOURCE_DIR}/packaging/postinst
  ${PROJECT_SOURCE_DIR}/packaging/prerm
  ${PROJECT_SOURCE_DIR}/packaging/postrm)
set(CPACK_DEBIAN_RUNTIME_PACKAGE_CONTROL_STRICT_PERMISSION ON)

set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_NAME libbtt-dev)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_SECTION libdevel)
set(CPACK_DEBIAN_DEVELOPMENT_PACKAGE_DEPENDS "libpmem2-dev, libc6-dev")
set(CPACK_DEBIAN_DEVELOPMENT_DESCRIPTION
"Block Translation Table engine, development files
The engine of bttfs as a static library: it creates, opens, checks, reads
and writes Block Translation Tables on persistent memory, files and block
devices, in the format of the Linux kernel, ndctl and libpmemblk.")

# What Debian wants in each package, and the library with its pkg-config file.
find_program(GZIP gzip REQUIRED)
foreach(package IN ITEMS bttfs libbtt-dev)
  if(package STREQUAL bttfs)
    set(component runtime)
  else()
    set(component development)
  endif()
  install(FILES packaging/copyright
    DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/doc/${package}
    COMPONENT ${component})
  install(FILES ${CMAKE_CURRENT_BINARY_DIR}/changelog.gz
    DESTINATION ${CMAKE_INSTALL_DATAROOTDIR}/doc/${package}
    COMPONENT ${component})
endforeach()
# -n: no name and time, so that the bytes depend on the text only.
execute_process(
  COMMAND ${GZIP} -9nc ${PROJECT_SOURCE_DIR}/packaging/changelog
  OUTPUT_FILE ${CMAKE_CURRENT_BINARY_DIR}/changelog.gz
  COMMAND_ERROR_IS_FATAL ANY)
set_property(DIRECTORY APPEND PROPERTY
  CMAKE_CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/packaging/changelog)

include(CPack)

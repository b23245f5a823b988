# The format: encoding, geometry, creating, finding and checking a BTT.
# These look beneath the public headers.
foreach(name layout geometry flog format probe check)
  bttfs_unit_test(${name} LIBS btt lanes)
  target_include_directories(check_${name} PRIVATE ${PROJECT_SOURCE_DIR}/btt)
endforeach()

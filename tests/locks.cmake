# The order of locks in every run of ctest (control-plane.md LK-12): test
# programs and daemons note the orders that they saw, and at the end of the run
# these are compared with those in locks/orders.dot.  An order that is new is a
# failure until somebody has looked at it and put it there.
set(seen_orders ${CMAKE_CURRENT_BINARY_DIR}/lock-orders)

# These use locks of their own, most of them wrongly.
set(own_locks
  sync held graph idle watch points shapes lane lane_owner lane_misuse stripe
  lock_watch)

get_directory_property(all_tests TESTS)
list(REMOVE_ITEM all_tests ${own_locks})
foreach(name IN LISTS all_tests)
  get_test_property(${name} LABELS labels)
  if(NOT "${labels}" MATCHES "unit|stress|hostile|e2e|kernel")
    continue()
  endif()
  set_property(TEST ${name} APPEND PROPERTY FIXTURES_REQUIRED lock_orders)
  set_property(TEST ${name} APPEND PROPERTY ENVIRONMENT_MODIFICATION
    BTTFS_LOCK_ORDERS=set:${seen_orders}
    BTTFS_LOCK_ABORT=set:1)
endforeach()

add_test(NAME lock-orders-begin COMMAND ${CMAKE_COMMAND} -E rm -f ${seen_orders})
set_tests_properties(lock-orders-begin PROPERTIES
  LABELS unit FIXTURES_SETUP lock_orders)
add_test(NAME lock-orders
  COMMAND sh ${CMAKE_CURRENT_LIST_DIR}/locks/check_orders.sh ${seen_orders})
set_tests_properties(lock-orders PROPERTIES
  LABELS unit FIXTURES_CLEANUP lock_orders SKIP_RETURN_CODE 77)

# The seventh of the fixes (see daemon.cmake): every lock, in every test.
add_test(NAME lockdep_coverage
  COMMAND sh -c "'${CMAKE_CTEST_COMMAND}' --show-only=json-v1 >lockdep-tests.json &&
    exec python3 '${CMAKE_CURRENT_LIST_DIR}/locks/check_coverage.py' '${PROJECT_SOURCE_DIR}' lockdep-tests.json"
  WORKING_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR})
set_tests_properties(lockdep_coverage PROPERTIES LABELS unit TIMEOUT 60)

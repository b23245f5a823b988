# The crash explorer: the engine and the locks, built once more with their test
# hooks, on a simulated medium and a simulated scheduler (tests/crash).
# ThreadSanitizer cannot follow threads that are coroutines.
if(BTTFS_SANITIZE MATCHES "thread")
  return()
endif()

get_target_property(hooked_sources btt SOURCES)
# All of the engine, and of its media only what is not a medium.
list(FILTER hooked_sources EXCLUDE REGEX
  "^media(|_blocks|_lock|_open|_page|_pmem2|_ram)[.]c$")
list(TRANSFORM hooked_sources PREPEND ${PROJECT_SOURCE_DIR}/btt/)
add_library(btt_hooked STATIC ${hooked_sources})
target_include_directories(btt_hooked PUBLIC
  ${PROJECT_SOURCE_DIR}/btt ${PROJECT_SOURCE_DIR}/btt/include
  ${PROJECT_SOURCE_DIR}/lanes ${PROJECT_SOURCE_DIR}/lanes/include)
target_compile_definitions(btt_hooked PUBLIC BTT_TEST_HOOKS)

get_target_property(simulated_sources lanes SOURCES)
# In its place: crash/sync_sim.c.
list(FILTER simulated_sources EXCLUDE REGEX "^live[.]c$")
list(TRANSFORM simulated_sources PREPEND ${PROJECT_SOURCE_DIR}/lanes/)
add_executable(crash_explore ${simulated_sources}
  crash/create.c
  crash/dump.c
  crash/enumerate.c
  crash/explore.c
  crash/failures.c
  crash/image.c
  crash/jobs.c
  crash/loss.c
  crash/mend.c
  crash/mutants.c
  crash/poison.c
  crash/program.c
  crash/recover.c
  crash/reference_recovery.c
  crash/report.c
  crash/scenario.c
  crash/scenario_table.c
  crash/sched.c
  crash/shrink.c
  crash/sim_life.c
  crash/sim_media.c
  crash/sim_memory.c
  crash/sim_poison.c
  crash/spec.c
  crash/swarm.c
  crash/upkeep.c
  crash/sync_sim.c
  crash/world.c)
set_target_properties(crash_explore PROPERTIES OUTPUT_NAME explore
  RUNTIME_OUTPUT_DIRECTORY ${CMAKE_CURRENT_BINARY_DIR}/crash)
target_compile_options(crash_explore PRIVATE
  -include ${CMAKE_CURRENT_SOURCE_DIR}/crash/sim_pthread.h)
target_link_libraries(crash_explore PRIVATE bttfs_flags btt_hooked)

# Millions of images: optimised in every configuration.
foreach(target IN ITEMS btt_hooked crash_explore)
  target_compile_options(${target} PRIVATE -O2 -U_FORTIFY_SOURCE)
  target_link_libraries(${target} PRIVATE bttfs_flags)
endforeach()

# A moment of each scenario, for presets that do not run all of the next.
if(BTTFS_SANITIZE OR CMAKE_BUILD_TYPE STREQUAL Debug)
  add_test(NAME crash_smoke COMMAND crash_explore --smoke)
  set_tests_properties(crash_smoke PROPERTIES LABELS unit TIMEOUT 120)
endif()
add_test(NAME crash COMMAND crash_explore)
set_tests_properties(crash PROPERTIES LABELS crash TIMEOUT 1800
  PROCESSORS 2)
add_test(NAME crash_replay COMMAND crash_explore --self-test)
set_tests_properties(crash_replay PROPERTIES LABELS crash TIMEOUT 1800
  PROCESSORS 2)

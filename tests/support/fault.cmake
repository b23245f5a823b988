# bttfs_fault(TARGET): its calls can fail, see fault.h.
function(bttfs_fault target)
  target_sources(${target} PRIVATE support/fault.c)
  target_link_libraries(${target} PRIVATE PkgConfig::PMEM2 PkgConfig::JSONC)
  foreach(name IN ITEMS
      malloc calloc realloc reallocarray aligned_alloc strdup strndup realpath
      free asprintf __asprintf_chk
      memfd_create ftruncate64 fstat64 stat64 lstat64 fstatfs64 flock fsync
      fdatasync madvise lseek64 pread64 pwrite64 mmap64 sendmsg
      sched_getaffinity fopen64 open64 __open64_2 fcntl64 ioctl syscall
      json_object_new_object json_object_new_string json_object_new_uint64
      json_object_to_json_string_ext
      pmem2_config_new pmem2_config_set_required_store_granularity
      pmem2_config_set_protection pmem2_source_from_fd pmem2_source_from_anon
      pmem2_map_new pmem2_map_from_existing pmem2_badblock_context_new
      pmem2_badblock_next)
    target_link_options(${target} PRIVATE -Wl,--wrap=${name})
  endforeach()
endfunction()

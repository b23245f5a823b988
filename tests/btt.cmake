foreach(part format dialects media engine)
  include(btt_${part}.cmake OPTIONAL)
endforeach()

foreach(part format media engine)
  include(btt_${part}.cmake OPTIONAL)
endforeach()

;; Fills sixty megabytes at once, for ever: nothing looks at it meanwhile.
(memory (export "memory") 1000)
(func (export "apisix:filter/request-handler@0.1.0#on-request") (result i32)
  (loop $again
    (memory.fill (i32.const 4096) (i32.const 1) (i32.const 62914560))
    (br $again))
  unreachable)

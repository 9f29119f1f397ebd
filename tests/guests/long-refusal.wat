;; Refuses its configuration with a megabyte of line feeds.
(memory (export "memory") 32)
(func (export "apisix:filter/configuration@0.1.0#configure") (param i32 i32) (result i32)
  (memory.fill (i32.const 65536) (i32.const 10) (i32.const 1048576))
  (i32.store8 (i32.const 128) (i32.const 1))
  (i32.store (i32.const 132) (i32.const 65536))
  (i32.store (i32.const 136) (i32.const 1048576))
  i32.const 128)

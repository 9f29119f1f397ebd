;; A memory for several threads.
(component
  (core module $m
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
    (func (export "configure") (param i32 i32) (result i32) i32.const 0)
    (func (export "on-response") (result i32) i32.const 0))
  (core instance $i (instantiate $m))
  (core module $shared (memory 1 1 shared))
  (core instance (instantiate $shared))
)

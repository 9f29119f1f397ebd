;; A memory with addresses of 64 bit.
(component
  (core module $m
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
    (func (export "configure") (param i32 i32) (result i32) i32.const 0)
    (func (export "on-response") (result i32) i32.const 0))
  (core instance $i (instantiate $m))
  (core module $large (memory i64 1))
  (core instance (instantiate $large))
)

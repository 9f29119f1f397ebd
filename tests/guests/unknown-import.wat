;; Imports something that no runner should offer.
(component
  (import "apisix:filter/shell@0.1.0" (instance (export "run" (func (param "line" string)))))
  (core module $m
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
    (func (export "configure") (param i32 i32) (result i32) i32.const 0)
    (func (export "on-response") (result i32) i32.const 0))
  (core instance $i (instantiate $m))
)

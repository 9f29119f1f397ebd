;; Its request handler wants a number and gives none back.
(component
  (core module $m
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
    (func (export "configure") (param i32 i32) (result i32) i32.const 0)
    (func (export "on-response") (result i32) i32.const 0)
    (func (export "on-request") (param i32)))
  (core instance $i (instantiate $m))
  (func $on-request (param "number" u32) (canon lift (core func $i "on-request")))
  (instance $requests (export "on-request" (func $on-request)))
  (export "apisix:filter/request-handler@0.1.0" (instance $requests))
)

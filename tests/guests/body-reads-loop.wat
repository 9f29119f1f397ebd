;; Reads a large body for ever: each time the host copies all of it.
(import "apisix:filter/request@0.1.0" "body" (func $body (param i32)))
(memory (export "memory") 32)
(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) i32.const 1024)
(func (export "apisix:filter/request-handler@0.1.0#on-request") (result i32)
  (loop $again (call $body (i32.const 64)) (br $again))
  unreachable)

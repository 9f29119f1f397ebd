;; Sets a header of 16 MiB, which is refused, and lives on; in either phase.
(import "apisix:filter/request@0.1.0" "set-header"
  (func $set-header (param i32 i32 i32 i32 i32)))
(import "apisix:filter/response@0.1.0" "set-header"
  (func $set-response (param i32 i32 i32 i32 i32)))
(memory (export "memory") 258)
(data (i32.const 512) "x-big")
(func (export "apisix:filter/request-handler@0.1.0#on-request") (result i32)
  (memory.fill (i32.const 65536) (i32.const 97) (i32.const 16777216))
  (call $set-header (i32.const 512) (i32.const 5)
    (i32.const 65536) (i32.const 16777216) (i32.const 64))
  (call $expect-error (i32.const 3))
  i32.const 0)
(func (export "apisix:filter/response-handler@0.1.0#on-response") (result i32)
  (memory.fill (i32.const 65536) (i32.const 97) (i32.const 16777216))
  (call $set-response (i32.const 512) (i32.const 5)
    (i32.const 65536) (i32.const 16777216) (i32.const 64))
  (call $expect-error (i32.const 3))
  i32.const 0)

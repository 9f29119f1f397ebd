;; Changes path, header and argument, then traps; in the response phase status
;; and header.
(import "apisix:filter/request@0.1.0" "set-path" (func $set-path (param i32 i32 i32)))
(import "apisix:filter/request@0.1.0" "set-header"
  (func $set-header (param i32 i32 i32 i32 i32)))
(import "apisix:filter/request@0.1.0" "set-arg" (func $set-arg (param i32 i32 i32 i32 i32)))
(import "apisix:filter/response@0.1.0" "set-status" (func $set-status (param i32 i32)))
(import "apisix:filter/response@0.1.0" "set-header"
  (func $set-response (param i32 i32 i32 i32 i32)))
(data (i32.const 512) "/half") (data (i32.const 520) "x-half")
(func (export "apisix:filter/request-handler@0.1.0#on-request") (result i32)
  (call $set-path (i32.const 512) (i32.const 5) (i32.const 64))
  (call $set-header (i32.const 520) (i32.const 6) (i32.const 520) (i32.const 6) (i32.const 64))
  (call $set-arg (i32.const 520) (i32.const 6) (i32.const 520) (i32.const 6) (i32.const 64))
  unreachable)
(func (export "apisix:filter/response-handler@0.1.0#on-response") (result i32)
  (call $set-status (i32.const 299) (i32.const 64))
  (call $set-response (i32.const 520) (i32.const 6) (i32.const 520) (i32.const 6) (i32.const 64))
  unreachable)

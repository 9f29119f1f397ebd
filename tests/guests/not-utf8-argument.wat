;; Calls the host with a name that is no UTF-8.
(import "apisix:filter/request@0.1.0" "set-header"
  (func $set-header (param i32 i32 i32 i32 i32)))
(data (i32.const 512) "x-\ff\fe")
(func (export "apisix:filter/request-handler@0.1.0#on-request") (result i32)
  (call $set-header (i32.const 512) (i32.const 4) (i32.const 512) (i32.const 1) (i32.const 64))
  i32.const 0)

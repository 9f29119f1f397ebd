;; Stops the request with the status that is its configuration.
(func (export "apisix:filter/request-handler@0.1.0#on-request") (result i32)
  (i32.store8 (i32.const 132) (i32.const 1))
  (i32.store16 (i32.const 136) (call $number))
  i32.const 128)

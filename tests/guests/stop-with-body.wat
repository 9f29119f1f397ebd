;; Stops the request with a body of as many bytes as its configuration says.
(func (export "apisix:filter/request-handler@0.1.0#on-request") (result i32)
  (drop (memory.grow (i32.div_u (call $number) (i32.const 65000))))
  (i32.store8 (i32.const 132) (i32.const 1))
  (i32.store16 (i32.const 136) (i32.const 200))
  (i32.store (i32.const 148) (i32.const 8192))
  (i32.store (i32.const 152) (call $number))
  i32.const 128)

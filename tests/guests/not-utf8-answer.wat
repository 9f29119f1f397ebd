;; Reports an error whose text is no UTF-8: half of a surrogate pair.
(data (i32.const 512) "\ed\a0\80")
(func (export "apisix:filter/request-handler@0.1.0#on-request") (result i32)
  (i32.store8 (i32.const 128) (i32.const 1))
  (i32.store (i32.const 132) (i32.const 512))
  (i32.store (i32.const 136) (i32.const 3))
  i32.const 128)

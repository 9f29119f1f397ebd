;; Refuses its configuration with a text that is no UTF-8.
(data (i32.const 512) "\c0\80")
(func (export "apisix:filter/configuration@0.1.0#configure") (param i32 i32) (result i32)
  (i32.store8 (i32.const 128) (i32.const 1))
  (i32.store (i32.const 132) (i32.const 512))
  (i32.store (i32.const 136) (i32.const 2))
  i32.const 128)

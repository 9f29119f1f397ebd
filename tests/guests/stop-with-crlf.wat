;; Stops the request with a header that would be two.
(data (i32.const 512) "x-good") (data (i32.const 520) "v\0d\0ax-bad: 1")
(data (i32.const 544) "\00\02\00\00\06\00\00\00\08\02\00\00\0b\00\00\00")
(func (export "apisix:filter/request-handler@0.1.0#on-request") (result i32)
  (i32.store8 (i32.const 132) (i32.const 1))
  (i32.store16 (i32.const 136) (i32.const 200))
  (i32.store (i32.const 140) (i32.const 544))
  (i32.store (i32.const 144) (i32.const 1))
  i32.const 128)

;; Is refused memory for ever and asks again.
(func (export "apisix:filter/request-handler@0.1.0#on-request") (result i32)
  (loop $again (drop (memory.grow (i32.const 65000))) (br $again))
  unreachable)

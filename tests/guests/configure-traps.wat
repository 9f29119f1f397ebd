;; Traps instead of accepting its configuration.
(func (export "apisix:filter/configuration@0.1.0#configure") (param i32 i32) (result i32)
  unreachable)

;; Declares more memory than an instance may have.
(memory (export "memory") 32768)

print("node-recovery")

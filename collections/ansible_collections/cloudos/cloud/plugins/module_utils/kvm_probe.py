def kvm_works(timeout=5):
    return False, "TEMPORARY"

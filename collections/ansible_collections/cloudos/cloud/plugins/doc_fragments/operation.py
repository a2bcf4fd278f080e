"""Documentation that all modules of the collection share."""


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  secrets:
    description: Values of the secrets that other options refer to as C(${secret:name}); the phases pass them along.
    type: dict
    default: {}
attributes:
  check_mode:
    support: full
    description: Tells what would change and changes nothing.
  diff_mode:
    support: full
    description: Shows the difference that decided whether something changes; secrets appear as references.
  idempotent:
    support: full
    description: A second run with the same arguments changes nothing.
"""

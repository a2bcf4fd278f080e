"""Documentation of the modules that operate a service on a node as the cloud's administrator."""


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  auth_url: {description: URL of Keystone with its version., type: str, required: true}
  cafile: {description: File with the CA that certified the front end; by default the system's., type: path}
  region: {description: Region of the endpoints; by default any., type: str}
  admin:
    description: The cloud's administrator; C(user), C(password), C(project) and C(domain) (by default admin, -, admin,
      Default).
    type: dict
    required: true
  timeout: {description: Seconds to wait for the service to answer., type: int, default: 60}
"""

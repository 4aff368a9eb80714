const resources = [
  'aiAgents',
  'apps',
  'appGrants',
  'authorizationServers',
  'clients',
  'eventHooks',
  'groups',
  'rateLimits',
  'roles',
  'sessions',
  'users',
]

/** Scopes the org's own authorization server knows. */
export const scopesOfOrg: readonly string[] = [
  ...resources.flatMap((name) => [`okta.${name}.read`, `okta.${name}.manage`]),
  'okta.logs.read',
  'okta.orgs.read',
  'okta.universalLogout.manage',
  'ssf.manage',
]

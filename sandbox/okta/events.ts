/** Event types this org writes: what the log calls them, their older name, and whether event hooks may subscribe to them. */
interface EventType {
  readonly message: string
  readonly legacy?: string
  readonly hook: boolean
}

const types = {
  'user.lifecycle.create': {
    message: 'Create Okta user',
    legacy: 'core.user.config.user_creation.success',
    hook: true,
  },
  'user.lifecycle.activate': {
    message: 'Activate Okta user',
    legacy: 'core.user.config.user_activated',
    hook: true,
  },
  'user.lifecycle.reactivate': { message: 'Reactivate Okta user', hook: true },
  'user.lifecycle.suspend': {
    message: 'Suspend Okta user',
    legacy: 'core.user.config.user_status.suspended',
    hook: true,
  },
  'user.lifecycle.unsuspend': {
    message: 'Unsuspend Okta user',
    legacy: 'core.user.config.user_status.unsuspended',
    hook: true,
  },
  'user.lifecycle.deactivate': {
    message: 'Deactivate Okta user',
    legacy: 'core.user.config.user_deactivated',
    hook: true,
  },
  'user.lifecycle.delete.initiated': { message: 'Delete Okta user', hook: true },
  'user.account.lock': {
    message: 'Max sign in attempts exceeded',
    legacy: 'core.user_auth.account_locked',
    hook: true,
  },
  'user.account.unlock': { message: 'Unlock user account', legacy: 'core.user.config.account_unlocked', hook: true },
  'user.account.expire_password': { message: 'Expire all user passwords', hook: false },
  'user.account.reset_password': {
    message: 'Fired when the user\u2019s Okta password is reset',
    legacy: 'core.user.config.password_update.success',
    hook: true,
  },
  'user.account.update_profile': {
    message: 'Update user profile for Okta',
    legacy: 'core.user.config.profile_update.success',
    hook: true,
  },
  'user.session.start': { message: 'User login to Okta', legacy: 'core.user_auth.login_success', hook: true },
  'user.session.clear': { message: 'Clear user session', legacy: 'core.user.config.session_clear', hook: true },
  'user.session.end': { message: 'User logout from Okta', legacy: 'core.user_auth.logout_success', hook: true },
  'user.authentication.universal_logout': { message: 'Universal Logout', hook: true },
  'group.user_membership.add': {
    message: 'Add user to group membership',
    legacy: 'core.user_group_member.user_add',
    hook: true,
  },
  'group.user_membership.remove': {
    message: 'Remove user from group membership',
    legacy: 'core.user_group_member.user_remove',
    hook: true,
  },
  'group.lifecycle.create': { message: 'Create Okta group', hook: true },
  'group.lifecycle.delete': { message: 'Delete Okta group', hook: true },
  'group.profile.update': { message: 'Update Okta group profile', hook: true },
  'application.lifecycle.create': {
    message: 'Create application',
    legacy: 'app.generic.config.app_created',
    hook: true,
  },
  'application.lifecycle.activate': {
    message: 'Activate application',
    legacy: 'app.generic.config.app_activated',
    hook: true,
  },
  'application.lifecycle.deactivate': {
    message: 'Deactivate application',
    legacy: 'app.generic.config.app_deactivated',
    hook: true,
  },
  'application.lifecycle.update': {
    message: 'Update application',
    legacy: 'app.generic.config.app_updated',
    hook: true,
  },
  'application.lifecycle.delete': {
    message: 'Delete application',
    legacy: 'app.generic.config.app_deleted',
    hook: true,
  },
  'app.oauth2.credentials.lifecycle.activate': { message: 'Activate OAuth client credential', hook: false },
  'app.oauth2.credentials.lifecycle.deactivate': { message: 'Deactivate OAuth client credential', hook: false },
  'app.oauth2.token.grant.access_token': { message: 'OAuth2 access token is granted', hook: false },
  'app.oauth2.as.token.grant.access_token': { message: 'OAuth2 access token is granted', hook: false },
  'app.oauth2.as.key.rollover': { message: 'OAuth2 authorization server key rollover', hook: false },
  'workload_principal.ai_agent.register': { message: 'Register AI agent', hook: true },
  'workload_principal.ai_agent.activate': { message: 'Activate AI agent', hook: true },
  'workload_principal.ai_agent.deactivate': { message: 'Deactivate AI agent', hook: true },
  'workload_principal.ai_agent.delete': { message: 'Delete AI agent', hook: true },
  'workload_principal.ai_agent.update': { message: 'Update AI agent', hook: true },
  'workload_principal.register': { message: 'Register workload principal', hook: true },
  'workload_principal.activate': { message: 'Activate workload principal', hook: true },
  'workload_principal.deactivate': { message: 'Deactivate workload principal', hook: true },
  'workload_principal.delete': { message: 'Delete workload principal', hook: true },
  'workload_principal.update': { message: 'Update workload principal', hook: true },
  'event_hook.created': { message: 'Event hook created', hook: false },
  'event_hook.verified': { message: 'Event hook verified', hook: false },
  'event_hook.delivery': { message: 'Event hook delivery', hook: false },
  'core.concurrency.org.limit.violation': { message: 'Concurrency limit violation', hook: false },
  'system.org.rate_limit.warning': { message: 'Rate limit warning', hook: true },
  'system.org.rate_limit.violation': { message: 'Rate limit violation', hook: true },
} as const satisfies Readonly<Record<string, EventType>>

export type EventName = keyof typeof types

export function eventType(name: EventName): EventType {
  return types[name]
}

/** Types that no event here has may be subscribed to as well; those for the log alone may not. */
const logOnly = /^(app\.oauth2\.|core\.|event_hook\.)/

export function isHookEligible(name: string): boolean {
  return isEvent(name) ? types[name].hook : !logOnly.test(name)
}

function isEvent(name: string): name is EventName {
  return Object.hasOwn(types, name)
}

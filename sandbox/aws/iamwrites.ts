import { z } from 'zod'
import { onRole } from './iam.ts'
import { type Call, type Operation, operation } from './operation.ts'
import { attach, deleteInline, detach, modifiable, putInline, setBoundary, setTrust, tag, untag } from './roles.ts'
import type { World } from './world.ts'

/** Writes of IAM on roles; what the bridge does, and what its documentation lets an administrator do. */

const RoleName = z.string().regex(/^[\w+=,.@-]{1,64}$/)
const PolicyName = z.string().regex(/^[\w+=,.@-]{1,128}$/)
const PolicyDocument = z.string().min(1).max(131_072)
const PolicyArn = z.string().min(20).max(2048)
const tagKey = z.string().regex(/^[\p{L}\p{Z}\p{N}_.:/=+\-@]{1,128}$/u)
const tagValue = z.string().regex(/^[\p{L}\p{Z}\p{N}_.:/=+\-@]{0,256}$/u)

function onPolicy(world: World, call: Call, input: { readonly RoleName: string; readonly PolicyArn: string }) {
  const { arn, keys } = onRole(world, call, input)
  return { arn, keys: { ...keys, 'iam:policyarn': [input.PolicyArn] } }
}

export const iamWrites: Readonly<Record<string, Operation>> = {
  PutRolePolicy: operation({
    input: z.object({ RoleName, PolicyName, PolicyDocument }),
    on: onRole,
    run: (world, { accountId }, input) => {
      putInline(world, modifiable(world, accountId, input.RoleName), input.PolicyName, input.PolicyDocument)
      return undefined
    },
  }),
  DeleteRolePolicy: operation({
    input: z.object({ RoleName, PolicyName }),
    on: onRole,
    run: (world, { accountId }, input) => {
      deleteInline(world, modifiable(world, accountId, input.RoleName), input.PolicyName)
      return undefined
    },
  }),
  AttachRolePolicy: operation({
    input: z.object({ RoleName, PolicyArn }),
    on: onPolicy,
    run: (world, { accountId }, input) => {
      attach(world, modifiable(world, accountId, input.RoleName), input.PolicyArn)
      return undefined
    },
  }),
  DetachRolePolicy: operation({
    input: z.object({ RoleName, PolicyArn }),
    on: onPolicy,
    run: (world, { accountId }, input) => {
      detach(world, modifiable(world, accountId, input.RoleName), input.PolicyArn)
      return undefined
    },
  }),
  UpdateAssumeRolePolicy: operation({
    input: z.object({ RoleName, PolicyDocument }),
    on: onRole,
    run: (world, { accountId }, input) => {
      setTrust(world, modifiable(world, accountId, input.RoleName), input.PolicyDocument)
      return undefined
    },
  }),
  PutRolePermissionsBoundary: operation({
    input: z.object({ RoleName, PermissionsBoundary: z.string().min(20).max(2048) }),
    on: (world, call, input) => {
      const { arn, keys } = onRole(world, call, input)
      return { arn, keys: { ...keys, 'iam:permissionsboundary': [input.PermissionsBoundary] } }
    },
    run: (world, { accountId }, input) => {
      setBoundary(world, modifiable(world, accountId, input.RoleName), input.PermissionsBoundary)
      return undefined
    },
  }),
  DeleteRolePermissionsBoundary: operation({
    input: z.object({ RoleName }),
    on: onRole,
    run: (world, { accountId }, input) => {
      setBoundary(world, modifiable(world, accountId, input.RoleName), undefined)
      return undefined
    },
  }),
  TagRole: operation({
    input: z.object({ RoleName, Tags: z.array(z.object({ Key: tagKey, Value: tagValue })).max(50) }),
    on: onRole,
    run: (world, { accountId }, input) => {
      tag(world, modifiable(world, accountId, input.RoleName), input.Tags)
      return undefined
    },
  }),
  UntagRole: operation({
    input: z.object({ RoleName, TagKeys: z.array(tagKey).max(50) }),
    on: onRole,
    run: (world, { accountId }, input) => {
      untag(world, modifiable(world, accountId, input.RoleName), input.TagKeys)
      return undefined
    },
  }),
}

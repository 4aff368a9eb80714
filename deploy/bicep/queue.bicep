// As main.bicep, where Event Grid cannot reach the bridge: it fills a storage queue, and the bridge empties that
// (adapters.<name>.hooks.queue). The partner topic is made by Graph and must be activated before (docs/running/containers.md).
targetScope = 'resourceGroup'

@description('Name of the partner topic that the Graph subscription names')
param topic string = 'agents'

@description('Storage account for the queue alone; its name is unique in all of Azure')
@minLength(3)
@maxLength(24)
param account string

@description('Name of the queue: the end of adapters.<name>.hooks.queue.url')
param queue string = 'idp-bridge'

@description('Object id of the identity that the bridge signs in with')
param bridge string

param location string = resourceGroup().location

@description('Whether the topic has a system-assigned identity: it then writes with that, and the account takes no keys')
param topicHasIdentity bool = false

// Peeks, takes and removes messages; cannot write any.
var messageProcessor = '8a0f0c08-91a1-4084-bc3d-661d67233fed'
var messageSender = 'c6a89b2d-59bc-44d0-9896-0f6e12d7b80a'

resource partnerTopic 'Microsoft.EventGrid/partnerTopics@2022-06-15' existing = {
  name: topic
}

resource storage 'Microsoft.Storage/storageAccounts@2023-05-01' = {
  name: account
  location: location
  kind: 'StorageV2'
  sku: {
    name: 'Standard_LRS'
  }
  properties: {
    minimumTlsVersion: 'TLS1_2'
    supportsHttpsTrafficOnly: true
    allowBlobPublicAccess: false
    // Event Grid without an identity writes with a key of the account.
    allowSharedKeyAccess: !topicHasIdentity
  }
}

resource queues 'Microsoft.Storage/storageAccounts/queueServices@2023-05-01' = {
  parent: storage
  name: 'default'
}

resource bells 'Microsoft.Storage/storageAccounts/queueServices/queues@2023-05-01' = {
  parent: queues
  name: queue
}

resource mayProcess 'Microsoft.Authorization/roleAssignments@2022-04-01' = {
  scope: bells
  name: guid(bells.id, bridge, messageProcessor)
  properties: {
    principalId: bridge
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', messageProcessor)
  }
}

resource maySend 'Microsoft.Authorization/roleAssignments@2022-04-01' = if (topicHasIdentity) {
  scope: bells
  name: guid(bells.id, partnerTopic.id, messageSender)
  properties: {
    principalId: partnerTopic.identity.principalId
    principalType: 'ServicePrincipal'
    roleDefinitionId: subscriptionResourceId('Microsoft.Authorization/roleDefinitions', messageSender)
  }
}

var destination = {
  endpointType: 'StorageQueue'
  properties: {
    resourceId: storage.id
    queueName: bells.name
    // Older bells tell nothing that a pass has not found.
    queueMessageTimeToLiveInSeconds: 86400
  }
}

resource deliveries 'Microsoft.EventGrid/partnerTopics/eventSubscriptions@2022-06-15' = {
  parent: partnerTopic
  name: 'idp-bridge-queue'
  properties: {
    eventDeliverySchema: 'CloudEventSchemaV1_0'
    destination: topicHasIdentity ? null : destination
    deliveryWithResourceIdentity: topicHasIdentity ? {
      identity: {
        type: 'SystemAssigned'
      }
      destination: destination
    } : null
    filter: {
      includedEventTypes: [
        'Microsoft.Graph.UserUpdated'
        'Microsoft.Graph.UserDeleted'
        'Microsoft.Graph.GroupUpdated'
        'Microsoft.Graph.GroupDeleted'
      ]
    }
    retryPolicy: {
      eventTimeToLiveInMinutes: 1440
      maxDeliveryAttempts: 30
    }
  }
  dependsOn: [
    maySend
  ]
}

output url string = '${storage.properties.primaryEndpoints.queue}${bells.name}'
output subscription string = deliveries.id

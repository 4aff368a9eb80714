// The way by which Microsoft Graph tells the bridge of changes: a partner topic, and a subscription of it to our hook.
// The partner topic itself is made by Graph, as soon as its subscription is created, and must be activated before
// (docs/running/containers.md).
targetScope = 'resourceGroup'

@description('Name of the partner topic that the Graph subscription names')
param topic string = 'agents'

@description('The hook of the adapter, reachable from Event Grid')
param endpoint string

@description('Tenant whose tokens Event Grid sends')
param tenantId string = subscription().tenantId

@description('Application id URI that the deliveries are for: adapters.<name>.hooks.eventGrid.audience')
param audience string = 'api://idp-bridge-hooks'

@description('Where deliveries go that the bridge did not take for a day: a storage account and a container in it')
param deadLetterAccount string = ''
param deadLetterContainer string = 'idp-bridge-hooks'

resource partnerTopic 'Microsoft.EventGrid/partnerTopics@2022-06-15' existing = {
  name: topic
}

resource deliveries 'Microsoft.EventGrid/partnerTopics/eventSubscriptions@2022-06-15' = {
  parent: partnerTopic
  name: 'idp-bridge'
  properties: {
    eventDeliverySchema: 'CloudEventSchemaV1_0'
    destination: {
      endpointType: 'WebHook'
      properties: {
        endpointUrl: endpoint
        azureActiveDirectoryTenantId: tenantId
        azureActiveDirectoryApplicationIdOrUri: audience
        maxEventsPerBatch: 10
        preferredBatchSizeInKilobytes: 64
      }
    }
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
    deadLetterDestination: empty(deadLetterAccount) ? null : {
      endpointType: 'StorageBlob'
      properties: {
        resourceId: resourceId('Microsoft.Storage/storageAccounts', deadLetterAccount)
        blobContainerName: deadLetterContainer
      }
    }
  }
}

output subscription string = deliveries.id

//! The fields of kinds that charts bring along: batch, network, storage, policy, extensions.

use super::Schema;

const STATUS: super::Field = ("status", "any", "How it is.");

/// The schemas.
pub(super) const SCHEMAS: &[Schema] = &[
    ("Endpoints", "Where the pods behind a service are.", &[("subsets", "[any]", "Addresses with their ports.")]),
    (
        "EndpointSlice",
        "Where some of the pods behind a service are.",
        &[
            ("addressType", "string", "IPv4, IPv6 or FQDN."),
            ("endpoints", "[any]", "The addresses, and how they are."),
            ("ports", "[any]", "The ports that all of them have."),
        ],
    ),
    ("PodTemplate", "A template for pods.", &[("template", "PodTemplateSpec", "What pods are made from.")]),
    (
        "ReplicationController",
        "So many pods from one template, as it was before there were replica sets.",
        &[("spec", "any", "What is wanted."), STATUS],
    ),
    ("LimitRange", "What containers of a namespace may ask for.", &[("spec", "any", "The limits.")]),
    ("ResourceQuota", "What a namespace may have in all.", &[("spec", "any", "The limits."), STATUS]),
    ("PersistentVolume", "Storage that pods can have.", &[("spec", "PersistentVolumeSpec", "What it is."), STATUS]),
    (
        "PersistentVolumeSpec",
        "What a volume is.",
        &[
            ("accessModes", "[string]", "How it can be mounted."),
            ("capacity", "map", "How large it is."),
            ("claimRef", "any", "The claim that has it."),
            ("persistentVolumeReclaimPolicy", "string", "What becomes of it after its claim: Retain or Delete."),
            ("storageClassName", "string", "Its class."),
            ("volumeMode", "string", "Filesystem or Block."),
        ],
    ),
    (
        "PersistentVolumeClaim",
        "The wish for a volume.",
        &[("spec", "PersistentVolumeClaimSpec", "What is wanted."), STATUS],
    ),
    (
        "PersistentVolumeClaimSpec",
        "What a claim wants.",
        &[
            ("accessModes", "[string]", "How the volume is to be mounted."),
            ("resources", "any", "How large it is to be."),
            ("storageClassName", "string", "Its class."),
            ("volumeMode", "string", "Filesystem or Block."),
            ("volumeName", "string", "The volume that it has."),
        ],
    ),
    (
        "ControllerRevision",
        "A template that a set has had.",
        &[("data", "any", "The template."), ("revision", "integer", "Its place among the others.")],
    ),
    ("Job", "Pods that run until enough of them are done.", &[("spec", "JobSpec", "What is to be done."), STATUS]),
    (
        "JobSpec",
        "What is to be done.",
        &[
            ("backoffLimit", "integer", "How many failures it bears."),
            ("completions", "integer", "How many pods are to succeed."),
            ("parallelism", "integer", "How many pods run at once."),
            ("suspend", "boolean", "Whether it rests."),
            ("template", "PodTemplateSpec", "What its pods are made from."),
            ("ttlSecondsAfterFinished", "integer", "How long it stays when it is done."),
        ],
    ),
    ("CronJob", "Jobs that are made at times.", &[("spec", "CronJobSpec", "When, and what."), STATUS]),
    (
        "CronJobSpec",
        "When jobs are made, and what they do.",
        &[
            ("concurrencyPolicy", "string", "Allow, Forbid or Replace."),
            ("jobTemplate", "any", "What the jobs are made from."),
            ("schedule", "string", "When they are made."),
            ("successfulJobsHistoryLimit", "integer", "How many of those that are done stay."),
            ("suspend", "boolean", "Whether it rests."),
        ],
    ),
    (
        "HorizontalPodAutoscaler",
        "How many pods there are, by their load.",
        &[("spec", "HorizontalPodAutoscalerSpec", "Which pods, and by what."), STATUS],
    ),
    (
        "HorizontalPodAutoscalerSpec",
        "Which pods are scaled, and by what.",
        &[
            ("maxReplicas", "integer", "The most pods."),
            ("metrics", "[any]", "What is measured."),
            ("minReplicas", "integer", "The fewest pods."),
            ("scaleTargetRef", "any", "Whose pods."),
        ],
    ),
    ("Ingress", "What is reached from outside.", &[("spec", "IngressSpec", "Hosts and paths."), STATUS]),
    (
        "IngressSpec",
        "Hosts and paths that lead to services.",
        &[
            ("defaultBackend", "any", "Where all others lead."),
            ("ingressClassName", "string", "Who serves it."),
            ("rules", "[any]", "Hosts with their paths."),
            ("tls", "[any]", "Certificates."),
        ],
    ),
    ("IngressClass", "Who serves ingresses.", &[("spec", "any", "The controller.")]),
    ("NetworkPolicy", "Who may talk to pods.", &[("spec", "NetworkPolicySpec", "Which pods, and who.")]),
    (
        "NetworkPolicySpec",
        "Which pods, and who may talk to them.",
        &[
            ("egress", "[any]", "To whom they may talk."),
            ("ingress", "[any]", "Who may talk to them."),
            ("podSelector", "LabelSelector", "The pods."),
            ("policyTypes", "[string]", "Ingress, Egress or both."),
        ],
    ),
    (
        "PodDisruptionBudget",
        "How many pods may be away at once.",
        &[("spec", "PodDisruptionBudgetSpec", "Which pods, and how many."), STATUS],
    ),
    (
        "PodDisruptionBudgetSpec",
        "Which pods, and how many may be away.",
        &[
            ("maxUnavailable", "any", "How many may be away."),
            ("minAvailable", "any", "How many must be there."),
            ("selector", "LabelSelector", "The pods."),
        ],
    ),
    (
        "PriorityClass",
        "How important pods are.",
        &[
            ("description", "string", "What it is for."),
            ("globalDefault", "boolean", "Whether pods have it that name none."),
            ("preemptionPolicy", "string", "Whether others make room."),
            ("value", "integer", "The more, the more important."),
        ],
    ),
    ("RuntimeClass", "How containers are run.", &[("handler", "string", "The name of it on the nodes.")]),
    (
        "StorageClass",
        "A kind of storage.",
        &[
            ("allowVolumeExpansion", "boolean", "Whether volumes can grow."),
            ("parameters", "map", "Settings for its provisioner."),
            ("provisioner", "string", "Who makes its volumes."),
            ("reclaimPolicy", "string", "What becomes of volumes after their claims."),
            ("volumeBindingMode", "string", "Immediate or WaitForFirstConsumer."),
        ],
    ),
    ("CSIDriver", "A driver of storage.", &[("spec", "any", "What it can do.")]),
    ("CSINode", "The drivers of storage on a node.", &[("spec", "any", "The drivers.")]),
    ("VolumeAttachment", "A volume on a node.", &[("spec", "any", "Which, and where."), STATUS]),
    (
        "CustomResourceDefinition",
        "A kind that users define.",
        &[("spec", "CustomResourceDefinitionSpec", "What it is."), STATUS],
    ),
    (
        "CustomResourceDefinitionSpec",
        "What a kind is.",
        &[
            ("group", "string", "Its API group."),
            ("names", "any", "What it is called."),
            ("scope", "string", "Namespaced or Cluster."),
            ("versions", "[any]", "Its versions, with their schemas and columns."),
        ],
    ),
    (
        "APIService",
        "Who answers for a version of an API group.",
        &[("spec", "any", "The group, and the service."), STATUS],
    ),
    (
        "ValidatingWebhookConfiguration",
        "Who is asked before objects are written.",
        &[("webhooks", "[any]", "Whom, and of what.")],
    ),
    (
        "MutatingWebhookConfiguration",
        "Who may change objects before they are written.",
        &[("webhooks", "[any]", "Who, and which.")],
    ),
    ("ValidatingAdmissionPolicy", "Rules that objects must keep.", &[("spec", "any", "The rules."), STATUS]),
    ("ValidatingAdmissionPolicyBinding", "Where rules hold.", &[("spec", "any", "Which rules, and where.")]),
];

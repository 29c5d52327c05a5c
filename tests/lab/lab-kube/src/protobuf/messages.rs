//! The messages of kinds that typed clients send.

/// What a field holds.
#[derive(Clone, Copy)]
pub(super) enum Holds {
    Text,
    /// Bytes, which JSON has in base64.
    Bytes,
    Number,
    Truth,
    /// A map of texts to these.
    Map(&'static Holds),
    /// Another message.
    Of(&'static str),
    /// A whole number or a text.
    NumberOrText,
    /// A text in a message of its own.
    Wrapped,
    /// Some of these.
    Many(&'static Holds),
}

use Holds::{Bytes, Many, Number, NumberOrText, Of, Text, Truth, Wrapped};

const TEXTS: Holds = Many(&Text);
const LABELS: Holds = Holds::Map(&Text);

/// A message: its name, and its fields with their numbers; a field without a name stands for those inside it.
type Message = (&'static str, &'static [(u64, &'static str, Holds)]);

/// The messages that are known.
pub(super) const MESSAGES: &[Message] = &[
    (
        "ConfigMap",
        &[
            (1, "metadata", Of("ObjectMeta")),
            (2, "data", LABELS),
            (3, "binaryData", Holds::Map(&Bytes)),
            (4, "immutable", Truth),
        ],
    ),
    (
        "Secret",
        &[
            (1, "metadata", Of("ObjectMeta")),
            (2, "data", Holds::Map(&Bytes)),
            (3, "type", Text),
            (4, "stringData", LABELS),
            (5, "immutable", Truth),
        ],
    ),
    ("Namespace", &[(1, "metadata", Of("ObjectMeta"))]),
    ("ServiceAccount", &[(1, "metadata", Of("ObjectMeta"))]),
    ("Service", &[(1, "metadata", Of("ObjectMeta")), (2, "spec", Of("ServiceSpec"))]),
    (
        "ServiceSpec",
        &[(1, "ports", Many(&Of("ServicePort"))), (2, "selector", LABELS), (3, "clusterIP", Text), (4, "type", Text)],
    ),
    (
        "ServicePort",
        &[
            (1, "name", Text),
            (2, "protocol", Text),
            (3, "port", Number),
            (4, "targetPort", NumberOrText),
            (5, "nodePort", Number),
        ],
    ),
    ("Pod", &[(1, "metadata", Of("ObjectMeta")), (2, "spec", Of("PodSpec"))]),
    (
        "PodSpec",
        &[
            (2, "containers", Many(&Of("Container"))),
            (3, "restartPolicy", Text),
            (4, "terminationGracePeriodSeconds", Number),
            (6, "dnsPolicy", Text),
            (7, "nodeSelector", LABELS),
            (8, "serviceAccountName", Text),
            (10, "nodeName", Text),
            (11, "hostNetwork", Truth),
            (12, "hostPID", Truth),
            (13, "hostIPC", Truth),
            (19, "schedulerName", Text),
            (20, "initContainers", Many(&Of("Container"))),
            (22, "tolerations", Many(&Of("Toleration"))),
        ],
    ),
    (
        "Container",
        &[
            (1, "name", Text),
            (2, "image", Text),
            (3, "command", TEXTS),
            (4, "args", TEXTS),
            (5, "workingDir", Text),
            (6, "ports", Many(&Of("ContainerPort"))),
            (7, "env", Many(&Of("EnvVar"))),
            (14, "imagePullPolicy", Text),
            (16, "stdin", Truth),
            (18, "tty", Truth),
        ],
    ),
    (
        "ContainerPort",
        &[(1, "name", Text), (2, "hostPort", Number), (3, "containerPort", Number), (4, "protocol", Text)],
    ),
    ("EnvVar", &[(1, "name", Text), (2, "value", Text)]),
    ("Toleration", &[(1, "key", Text), (2, "operator", Text), (3, "value", Text), (4, "effect", Text)]),
    ("Deployment", &[(1, "metadata", Of("ObjectMeta")), (2, "spec", Of("DeploymentSpec"))]),
    (
        "DeploymentSpec",
        &[(1, "replicas", Number), (2, "selector", Of("LabelSelector")), (3, "template", Of("PodTemplateSpec"))],
    ),
    ("LabelSelector", &[(1, "matchLabels", LABELS), (2, "matchExpressions", Many(&Of("LabelSelectorRequirement")))]),
    ("LabelSelectorRequirement", &[(1, "key", Text), (2, "operator", Text), (3, "values", TEXTS)]),
    ("Job", &[(1, "metadata", Of("ObjectMeta")), (2, "spec", Of("JobSpec"))]),
    (
        "JobSpec",
        &[
            (1, "parallelism", Number),
            (2, "completions", Number),
            (3, "activeDeadlineSeconds", Number),
            (4, "selector", Of("LabelSelector")),
            (6, "template", Of("PodTemplateSpec")),
            (7, "backoffLimit", Number),
            (8, "ttlSecondsAfterFinished", Number),
            (9, "completionMode", Text),
            (10, "suspend", Truth),
        ],
    ),
    ("CronJob", &[(1, "metadata", Of("ObjectMeta")), (2, "spec", Of("CronJobSpec"))]),
    (
        "CronJobSpec",
        &[
            (1, "schedule", Text),
            (3, "concurrencyPolicy", Text),
            (4, "suspend", Truth),
            (5, "jobTemplate", Of("JobTemplateSpec")),
            (6, "successfulJobsHistoryLimit", Number),
            (7, "failedJobsHistoryLimit", Number),
            (8, "timeZone", Text),
        ],
    ),
    ("JobTemplateSpec", &[(1, "metadata", Of("ObjectMeta")), (2, "spec", Of("JobSpec"))]),
    ("Ingress", &[(1, "metadata", Of("ObjectMeta")), (2, "spec", Of("IngressSpec"))]),
    (
        "IngressSpec",
        &[
            (1, "defaultBackend", Of("IngressBackend")),
            (2, "tls", Many(&Of("IngressTLS"))),
            (3, "rules", Many(&Of("IngressRule"))),
            (4, "ingressClassName", Text),
        ],
    ),
    ("IngressTLS", &[(1, "hosts", TEXTS), (2, "secretName", Text)]),
    ("IngressRule", &[(1, "host", Text), (2, "", Of("IngressRuleValue"))]),
    ("IngressRuleValue", &[(1, "http", Of("HTTPIngressRuleValue"))]),
    ("HTTPIngressRuleValue", &[(1, "paths", Many(&Of("HTTPIngressPath")))]),
    ("HTTPIngressPath", &[(1, "path", Text), (2, "backend", Of("IngressBackend")), (3, "pathType", Text)]),
    ("IngressBackend", &[(4, "service", Of("IngressServiceBackend"))]),
    ("IngressServiceBackend", &[(1, "name", Text), (2, "port", Of("ServiceBackendPort"))]),
    ("ServiceBackendPort", &[(1, "name", Text), (2, "number", Number)]),
    ("PodDisruptionBudget", &[(1, "metadata", Of("ObjectMeta")), (2, "spec", Of("PodDisruptionBudgetSpec"))]),
    (
        "PodDisruptionBudgetSpec",
        &[(1, "minAvailable", NumberOrText), (2, "selector", Of("LabelSelector")), (3, "maxUnavailable", NumberOrText)],
    ),
    (
        "PriorityClass",
        &[
            (1, "metadata", Of("ObjectMeta")),
            (2, "value", Number),
            (3, "globalDefault", Truth),
            (4, "description", Text),
            (5, "preemptionPolicy", Text),
        ],
    ),
    ("ResourceQuota", &[(1, "metadata", Of("ObjectMeta")), (2, "spec", Of("ResourceQuotaSpec"))]),
    ("ResourceQuotaSpec", &[(1, "hard", Holds::Map(&Wrapped)), (2, "scopes", TEXTS)]),
    ("HorizontalPodAutoscaler", &[(1, "metadata", Of("ObjectMeta")), (2, "spec", Of("HorizontalPodAutoscalerSpec"))]),
    (
        "HorizontalPodAutoscalerSpec",
        &[
            (1, "scaleTargetRef", Of("CrossVersionObjectReference")),
            (2, "minReplicas", Number),
            (3, "maxReplicas", Number),
            (4, "targetCPUUtilizationPercentage", Number),
        ],
    ),
    ("CrossVersionObjectReference", &[(1, "kind", Text), (2, "name", Text), (3, "apiVersion", Text)]),
    ("Eviction", &[(1, "metadata", Of("ObjectMeta")), (2, "deleteOptions", Of("DeleteOptions"))]),
    (
        "DeleteOptions",
        &[
            (1, "gracePeriodSeconds", Number),
            (2, "preconditions", Of("Preconditions")),
            (3, "orphanDependents", Truth),
            (4, "propagationPolicy", Text),
            (5, "dryRun", TEXTS),
        ],
    ),
    ("Preconditions", &[(1, "uid", Text), (2, "resourceVersion", Text)]),
    ("PodTemplateSpec", &[(1, "metadata", Of("ObjectMeta")), (2, "spec", Of("PodSpec"))]),
    ("Role", &[(1, "metadata", Of("ObjectMeta")), (2, "rules", Many(&Of("PolicyRule")))]),
    ("ClusterRole", &[(1, "metadata", Of("ObjectMeta")), (2, "rules", Many(&Of("PolicyRule")))]),
    (
        "PolicyRule",
        &[
            (1, "verbs", TEXTS),
            (2, "apiGroups", TEXTS),
            (3, "resources", TEXTS),
            (4, "resourceNames", TEXTS),
            (5, "nonResourceURLs", TEXTS),
        ],
    ),
    ("RoleBinding", BINDING),
    ("ClusterRoleBinding", BINDING),
    ("Subject", &[(1, "kind", Text), (2, "apiGroup", Text), (3, "name", Text), (4, "namespace", Text)]),
    ("RoleRef", &[(1, "apiGroup", Text), (2, "kind", Text), (3, "name", Text)]),
    ("SelfSubjectReview", &[(1, "metadata", Of("ObjectMeta"))]),
    ("SelfSubjectAccessReview", &[(1, "metadata", Of("ObjectMeta")), (2, "spec", Of("AccessSpec"))]),
    (
        "AccessSpec",
        &[
            (1, "resourceAttributes", Of("ResourceAttributes")),
            (2, "nonResourceAttributes", Of("NonResourceAttributes")),
        ],
    ),
    (
        "ResourceAttributes",
        &[
            (1, "namespace", Text),
            (2, "verb", Text),
            (3, "group", Text),
            (4, "version", Text),
            (5, "resource", Text),
            (6, "subresource", Text),
            (7, "name", Text),
        ],
    ),
    ("NonResourceAttributes", &[(1, "path", Text), (2, "verb", Text)]),
    ("SelfSubjectRulesReview", &[(1, "metadata", Of("ObjectMeta")), (2, "spec", Of("RulesSpec"))]),
    ("RulesSpec", &[(1, "namespace", Text)]),
    ("Scale", &[(1, "metadata", Of("ObjectMeta")), (2, "spec", Of("ScaleSpec"))]),
    ("ScaleSpec", &[(1, "replicas", Number)]),
    (
        "ObjectMeta",
        &[
            (1, "name", Text),
            (2, "generateName", Text),
            (3, "namespace", Text),
            (5, "uid", Text),
            (6, "resourceVersion", Text),
            (11, "labels", LABELS),
            (12, "annotations", LABELS),
            (13, "ownerReferences", Many(&Of("OwnerReference"))),
            (14, "finalizers", TEXTS),
        ],
    ),
    (
        "OwnerReference",
        &[
            (1, "kind", Text),
            (3, "name", Text),
            (4, "uid", Text),
            (5, "apiVersion", Text),
            (6, "controller", Truth),
            (7, "blockOwnerDeletion", Truth),
        ],
    ),
];

const BINDING: &[(u64, &str, Holds)] =
    &[(1, "metadata", Of("ObjectMeta")), (2, "subjects", Many(&Of("Subject"))), (3, "roleRef", Of("RoleRef"))];

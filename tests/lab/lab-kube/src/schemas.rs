//! The fields of kinds, as far as the lab knows them, in words of its own.

mod kinds;

/// A field: name, type, what it is. Types are `string`, `integer`, `boolean`, `map` (of texts), `any`, the name of
/// another schema, or one of these in brackets for a list.
pub(super) type Field = (&'static str, &'static str, &'static str);

/// A schema: name, what it is, fields.
pub(super) type Schema = (&'static str, &'static str, &'static [Field]);

/// The schemas of kinds, and of what is inside them. Every kind has `kind`, `apiVersion` and `metadata` besides.
pub(super) fn all() -> impl Iterator<Item = &'static Schema> {
    SCHEMAS.iter().chain(kinds::SCHEMAS)
}

const SCHEMAS: &[Schema] = &[
    (
        "ConfigMap",
        "Settings for pods, as pairs of keys and texts.",
        &[
            ("data", "map", "The settings."),
            ("binaryData", "map", "Settings that are no text, in base64."),
            ("immutable", "boolean", "Whether nothing of it may be changed any more."),
        ],
    ),
    (
        "Secret",
        "Settings that are not shown to everybody.",
        &[
            ("data", "map", "The settings, in base64."),
            ("stringData", "map", "Settings as text; written only."),
            ("type", "string", "What it is used for."),
        ],
    ),
    (
        "Namespace",
        "A place for names.",
        &[("spec", "NamespaceSpec", "What is wanted of it."), ("status", "NamespaceStatus", "How it is.")],
    ),
    (
        "NamespaceSpec",
        "What is wanted of a namespace.",
        &[("finalizers", "[string]", "What must be done before it goes.")],
    ),
    ("NamespaceStatus", "How a namespace is.", &[("phase", "string", "Active or Terminating.")]),
    (
        "Node",
        "A machine that runs pods.",
        &[
            ("spec", "NodeSpec", "What is wanted of it."),
            ("status", "NodeStatus", "How it is, as its kubelet reports it."),
        ],
    ),
    (
        "NodeSpec",
        "What is wanted of a node.",
        &[
            ("podCIDR", "string", "The addresses of its pods."),
            ("podCIDRs", "[string]", "The addresses of its pods, of each family."),
            ("providerID", "string", "What the machine is called where it comes from."),
            ("taints", "[Taint]", "What keeps pods away that do not tolerate it."),
            ("unschedulable", "boolean", "Whether it takes no new pods."),
        ],
    ),
    (
        "Taint",
        "What keeps pods away from a node.",
        &[
            ("key", "string", "Its key."),
            ("value", "string", "Its value."),
            ("effect", "string", "NoSchedule, PreferNoSchedule or NoExecute."),
        ],
    ),
    (
        "NodeStatus",
        "How a node is.",
        &[
            ("addresses", "[NodeAddress]", "Where it is reached."),
            ("allocatable", "map", "What pods can have of it."),
            ("capacity", "map", "What it has in all."),
            ("conditions", "[Condition]", "What holds of it, Ready above all."),
            ("nodeInfo", "NodeSystemInfo", "Its system."),
        ],
    ),
    (
        "NodeAddress",
        "Where a node is reached.",
        &[("type", "string", "InternalIP, ExternalIP or Hostname."), ("address", "string", "The address.")],
    ),
    (
        "NodeSystemInfo",
        "The system of a node.",
        &[
            ("bootID", "string", "Differs after each boot."),
            ("containerRuntimeVersion", "string", "Its container runtime."),
            ("kernelVersion", "string", "Its kernel."),
            ("kubeletVersion", "string", "Its kubelet."),
            ("machineID", "string", "The machine's identity."),
            ("osImage", "string", "Its operating system."),
            ("systemUUID", "string", "The identity that its firmware reports."),
        ],
    ),
    (
        "Condition",
        "Something that holds of an object, or does not.",
        &[
            ("type", "string", "What it is about."),
            ("status", "string", "True, False or Unknown."),
            ("reason", "string", "Why, in one word."),
            ("message", "string", "Why, for people."),
            ("lastTransitionTime", "string", "Since when."),
        ],
    ),
    (
        "Pod",
        "Containers that run together on a node.",
        &[("spec", "PodSpec", "What is to run."), ("status", "PodStatus", "How it runs.")],
    ),
    (
        "PodSpec",
        "What is to run in a pod.",
        &[
            ("containers", "[Container]", "Its containers."),
            ("initContainers", "[Container]", "Containers that run before the others, one after the other."),
            ("hostNetwork", "boolean", "Whether it has the network of its node."),
            ("nodeName", "string", "The node that it runs on."),
            ("nodeSelector", "map", "Labels that its node must have."),
            ("restartPolicy", "string", "Always, OnFailure or Never."),
            ("serviceAccountName", "string", "Who it is to the API."),
            ("tolerations", "[Toleration]", "Taints that it bears."),
        ],
    ),
    (
        "Toleration",
        "A taint that a pod bears.",
        &[
            ("key", "string", "Key of the taint; empty for all."),
            ("operator", "string", "Exists or Equal."),
            ("value", "string", "Value of the taint."),
            ("effect", "string", "Effect of the taint; empty for all."),
        ],
    ),
    (
        "Container",
        "A program with its image.",
        &[
            ("name", "string", "Its name within the pod."),
            ("image", "string", "The image that it is made from."),
            ("command", "[string]", "What is run in the place of the image's own program."),
            ("args", "[string]", "Its arguments."),
            ("env", "[EnvVar]", "Its environment."),
            ("ports", "[ContainerPort]", "Where it listens."),
        ],
    ),
    ("EnvVar", "A variable of an environment.", &[("name", "string", "Its name."), ("value", "string", "Its value.")]),
    (
        "ContainerPort",
        "Where a container listens.",
        &[
            ("name", "string", "Its name."),
            ("containerPort", "integer", "The port."),
            ("protocol", "string", "TCP, UDP or SCTP."),
        ],
    ),
    (
        "PodStatus",
        "How a pod runs.",
        &[
            ("phase", "string", "Pending, Running, Succeeded, Failed or Unknown."),
            ("hostIP", "string", "The address of its node."),
            ("podIP", "string", "Its own address."),
            ("conditions", "[Condition]", "What holds of it."),
            ("startTime", "string", "When its kubelet took it up."),
        ],
    ),
    (
        "Service",
        "One address for many pods.",
        &[
            ("spec", "ServiceSpec", "Which pods, and on which ports."),
            ("status", "any", "What a load balancer reports."),
        ],
    ),
    (
        "ServiceSpec",
        "What a service stands for.",
        &[
            ("type", "string", "ClusterIP, NodePort, LoadBalancer or ExternalName."),
            ("clusterIP", "string", "Its address inside of the cluster."),
            ("selector", "map", "Labels of its pods."),
            ("ports", "[ServicePort]", "Its ports."),
        ],
    ),
    (
        "ServicePort",
        "A port of a service.",
        &[
            ("name", "string", "Its name."),
            ("port", "integer", "The port of the service."),
            ("targetPort", "any", "The port of its pods, or the name of that port."),
            ("protocol", "string", "TCP, UDP or SCTP."),
        ],
    ),
    ("ServiceAccount", "Who pods are to the API.", &[("secrets", "[any]", "Secrets that its pods may use.")]),
    (
        "Event",
        "Something that happened to an object.",
        &[
            ("involvedObject", "any", "The object."),
            ("reason", "string", "What happened, in one word."),
            ("message", "string", "What happened, for people."),
            ("type", "string", "Normal or Warning."),
            ("count", "integer", "How often it happened."),
            ("firstTimestamp", "string", "When it happened first."),
            ("lastTimestamp", "string", "When it happened last."),
        ],
    ),
    (
        "Deployment",
        "Pods from one template, replaced step by step.",
        &[("spec", "DeploymentSpec", "What is wanted."), ("status", "DeploymentStatus", "How far it is.")],
    ),
    (
        "DeploymentSpec",
        "What is wanted of a deployment.",
        &[
            ("replicas", "integer", "How many pods."),
            ("selector", "LabelSelector", "Labels of its pods."),
            ("template", "PodTemplateSpec", "What its pods are made from."),
        ],
    ),
    (
        "DeploymentStatus",
        "How far a deployment is.",
        &[
            ("replicas", "integer", "Pods that there are."),
            ("readyReplicas", "integer", "Pods that are ready."),
            ("updatedReplicas", "integer", "Pods from the present template."),
            ("availableReplicas", "integer", "Pods that have been ready for long enough."),
            ("conditions", "[Condition]", "What holds of it."),
        ],
    ),
    ("LabelSelector", "A choice by labels.", &[("matchLabels", "map", "Labels that must be there.")]),
    (
        "PodTemplateSpec",
        "What pods are made from.",
        &[("metadata", "ObjectMeta", "Labels and annotations of the pods."), ("spec", "PodSpec", "What is to run.")],
    ),
    (
        "DaemonSet",
        "A pod on each node.",
        &[("spec", "DaemonSetSpec", "What is wanted."), ("status", "any", "How far it is.")],
    ),
    (
        "DaemonSetSpec",
        "What is wanted of a daemon set.",
        &[
            ("selector", "LabelSelector", "Labels of its pods."),
            ("template", "PodTemplateSpec", "What its pods are made from."),
        ],
    ),
    (
        "ReplicaSet",
        "So many pods from one template.",
        &[("spec", "DeploymentSpec", "What is wanted."), ("status", "any", "How far it is.")],
    ),
    (
        "StatefulSet",
        "Pods with names and volumes of their own.",
        &[("spec", "DeploymentSpec", "What is wanted."), ("status", "any", "How far it is.")],
    ),
    (
        "Lease",
        "What a component renews as long as it is alive.",
        &[("spec", "LeaseSpec", "Who holds it, and since when.")],
    ),
    (
        "LeaseSpec",
        "Who holds a lease.",
        &[
            ("holderIdentity", "string", "Who holds it."),
            ("leaseDurationSeconds", "integer", "How long it is good for."),
            ("renewTime", "string", "When it was renewed."),
        ],
    ),
    ("Role", "What may be done in a namespace.", &[("rules", "[any]", "What may be done.")]),
    ("ClusterRole", "What may be done in the cluster.", &[("rules", "[any]", "What may be done.")]),
    (
        "RoleBinding",
        "Who may do in a namespace what a role says.",
        &[("roleRef", "any", "The role."), ("subjects", "[any]", "Who may.")],
    ),
    (
        "ClusterRoleBinding",
        "Who may do in the cluster what a role says.",
        &[("roleRef", "any", "The role."), ("subjects", "[any]", "Who may.")],
    ),
    (
        "ObjectMeta",
        "What every object has.",
        &[
            ("name", "string", "Its name."),
            ("namespace", "string", "The namespace of its name."),
            ("labels", "map", "By what it can be chosen."),
            ("annotations", "map", "What is noted of it."),
            ("uid", "string", "Its identity."),
            ("creationTimestamp", "string", "When it was made."),
            ("resourceVersion", "string", "Differs after each change."),
            ("generation", "integer", "Differs after each change of what is wanted."),
            ("ownerReferences", "[any]", "Objects that it goes with."),
            ("finalizers", "[string]", "What must be done before it goes."),
        ],
    ),
];

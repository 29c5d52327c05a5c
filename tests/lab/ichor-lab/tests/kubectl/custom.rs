//! Kinds that users define.

use super::*;

const DEFINITION: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: widgets, kind: Widget, shortNames: [wd], categories: [all]}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            required: [host]
            properties:
              host: {type: string, pattern: "^[a-z.]+$", description: Where it is.}
              size: {type: integer, minimum: 1, default: 3}
          status: {type: object, properties: {phase: {type: string}}}
    subresources: {status: {}, scale: {specReplicasPath: .spec.size, statusReplicasPath: .status.replicas}}
    additionalPrinterColumns:
    - {name: Host, type: string, jsonPath: .spec.host}
    - {name: Phase, type: string, jsonPath: .status.phase}
  - name: v1beta1
    served: true
    storage: false
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"#;

const WIDGET: &str = "---\n{apiVersion: example.com/v1, kind: Widget, metadata: {name: w}, spec: {host: a.b}}";

#[tokio::test(flavor = "multi_thread")]
async fn kubectl_uses_a_kind_as_soon_as_it_is_defined_and_no_longer_when_it_is_not() {
    let cluster = cluster().await;
    let (definition, widget) = (file(&cluster, "crd.yaml", DEFINITION), file(&cluster, "w.yaml", WIDGET));
    let status = r#"{"status":{"phase":"Good"},"spec":{"host":"z"}}"#;
    prints!(cluster,
        ("apply", "-f", &definition) => "created",
        ("wait", "--for=condition=established", "crd/widgets.example.com", "--timeout=10s") => "condition met",
        ("api-resources", "--api-group=example.com") => "widgets   wd           example.com/v1",
        ("explain", "widget.spec.host") => "Where it is.",
        ("apply", "-f", &widget) => "widget.example.com/w created",
        ("get", "wd") => "NAME   HOST   PHASE\nw      a.b",
        ("patch", "widget", "w", "--subresource=status", "--type=merge", "-p", status) => "patched",
        ("get", "all") => "widget.example.com/w   a.b    Good",
        ("scale", "widget", "w", "--replicas=5") => "scaled",
        ("get", "widgets.v1beta1.example.com", "w", "-o", "jsonpath={.apiVersion} {.spec.size}") => "example.com/v1beta1 5",
        ("apply", "--server-side", "-f", &widget) => "serverside-applied",
        ("diff", "-f", &widget) => "",
        ("delete", "crd", "widgets.example.com", "--timeout=20s") => "deleted",
    );
    fails!(cluster, ("get", "widgets") => "the server could not find the requested resource");
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_that_their_definition_forbids_are_refused() {
    let cluster = cluster().await;
    let definition = file(&cluster, "crd.yaml", DEFINITION);
    let wrong = file(&cluster, "wrong.yaml", &DEFINITION.replace("plural: widgets", "plural: gadgets"));
    prints!(cluster, ("apply", "-f", &definition) => "created");
    let variant = |text: &str| file(&cluster, "x.yaml", &WIDGET.replace("host: a.b", text));
    let strange = variant("host: a.b, strange: 1");
    fails!(cluster, ("create", "-f", &strange) => "strict decoding error: unknown field \"spec.strange\"");
    let odd = variant("host: A");
    fails!(cluster, ("create", "-f", &odd) => "spec.host in body should match '^[a-z.]+$'");
    let many = variant("size: x");
    fails!(cluster,
        ("create", "-f", &many) => "* spec.host: Required value",
        ("create", "-f", &many) => "spec.size in body must be of type integer: \"string\"",
        ("create", "-f", &wrong) => "must be spec.names.plural+\".\"+spec.group",
    );
}

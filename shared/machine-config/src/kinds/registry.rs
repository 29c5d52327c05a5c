//! Documents of the container runtime, its registries and trust.

use super::shared::PEM_PAIR;
use crate::shape::Type::{Bool, Free, List, Struct, Text, Url};
use crate::shape::{Shape, must, opt, ptr};

pub(super) static CRI_BASE_RUNTIME_SPEC: Shape =
    Shape::new("CRIBaseRuntimeSpecConfig", &[opt("overrides", Free).replace()]);

pub(super) static CRI_CUSTOMIZATION: Shape =
    Shape::new("CRICustomizationConfig", &[must("name", Text), must("content", Text).file()]);

pub(super) static IMAGE_CACHE: Shape = Shape::new("ImageCacheConfig", &[must("local", Struct(&LOCAL_IMAGE_CACHE))]);

pub(super) static LOCAL_IMAGE_CACHE: Shape = Shape::new("LocalImageCacheConfig", &[ptr("enabled", Bool)]);

pub(super) static REGISTRY_AUTH: Shape = Shape::new(
    "RegistryAuthConfig",
    &[
        must("name", Text).required("name must be specified"),
        opt("username", Text),
        opt("password", Text).secret(),
        opt("auth", Text).secret(),
        opt("identityToken", Text).secret(),
    ],
);

pub(super) static REGISTRY_MIRROR: Shape = Shape::new(
    "RegistryMirrorConfig",
    &[
        must("name", Text).required("name must be specified"),
        opt("endpoints", List(&Struct(&REGISTRY_ENDPOINT))),
        ptr("skipFallback", Bool),
    ],
);

pub(super) static REGISTRY_ENDPOINT: Shape =
    Shape::new("RegistryEndpoint", &[must("url", Url), ptr("overridePath", Bool)]);

pub(super) static REGISTRY_TLS: Shape = Shape::new(
    "RegistryTLSConfig",
    &[
        must("name", Text).required("name must be specified"),
        ptr("clientIdentity", Struct(&PEM_PAIR)),
        opt("ca", Text),
        ptr("insecureSkipVerify", Bool),
    ],
);

pub(super) static IMAGE_VERIFICATION: Shape =
    Shape::new("ImageVerificationConfig", &[opt("rules", List(&Struct(&IMAGE_VERIFICATION_RULE))).replace_by("image")]);

pub(super) static IMAGE_VERIFICATION_RULE: Shape = Shape::new(
    "ImageVerificationRuleV1Alpha1",
    &[
        opt("image", Text),
        ptr("skip", Bool),
        ptr("deny", Bool),
        ptr("keyless", Struct(&IMAGE_KEYLESS_VERIFIER)),
        ptr("publicKey", Struct(&IMAGE_PUBLIC_KEY_VERIFIER)),
    ],
);

pub(super) static IMAGE_KEYLESS_VERIFIER: Shape =
    Shape::new("ImageKeylessVerifierV1Alpha1", &[opt("issuer", Text), opt("subject", Text), opt("subjectRegex", Text)]);

pub(super) static IMAGE_PUBLIC_KEY_VERIFIER: Shape =
    Shape::new("ImagePublicKeyVerifierV1Alpha1", &[opt("certificate", Text)]);

pub(super) static TRUSTED_ROOTS: Shape =
    Shape::new("TrustedRootsConfig", &[must("name", Text), must("certificates", Text)]);

//! Documents of the container runtime, its registries and trust.

use super::shared::PEM_PAIR;
use crate::schema::Type::{Bool, Free, List, Struct, Text, Url};
use crate::schema::{Schema, must, opt, ptr};

pub(super) static CRI_BASE_RUNTIME_SPEC: Schema =
    Schema::new("CRIBaseRuntimeSpecConfig", &[opt("overrides", Free).replace()]);

pub(super) static CRI_CUSTOMIZATION: Schema =
    Schema::new("CRICustomizationConfig", &[must("name", Text), must("content", Text).file()]);

pub(super) static IMAGE_CACHE: Schema = Schema::new("ImageCacheConfig", &[must("local", Struct(&LOCAL_IMAGE_CACHE))]);

pub(super) static LOCAL_IMAGE_CACHE: Schema = Schema::new("LocalImageCacheConfig", &[ptr("enabled", Bool)]);

pub(super) static REGISTRY_AUTH: Schema = Schema::new(
    "RegistryAuthConfig",
    &[
        must("name", Text).required("name must be specified"),
        opt("username", Text),
        opt("password", Text).secret(),
        opt("auth", Text).secret(),
        opt("identityToken", Text).secret(),
    ],
);

pub(super) static REGISTRY_MIRROR: Schema = Schema::new(
    "RegistryMirrorConfig",
    &[
        must("name", Text).required("name must be specified"),
        opt("endpoints", List(&Struct(&REGISTRY_ENDPOINT))),
        ptr("skipFallback", Bool),
    ],
);

pub(super) static REGISTRY_ENDPOINT: Schema =
    Schema::new("RegistryEndpoint", &[must("url", Url), ptr("overridePath", Bool)]);

pub(super) static REGISTRY_TLS: Schema = Schema::new(
    "RegistryTLSConfig",
    &[
        must("name", Text).required("name must be specified"),
        ptr("clientIdentity", Struct(&PEM_PAIR)),
        opt("ca", Text),
        ptr("insecureSkipVerify", Bool),
    ],
);

pub(super) static IMAGE_VERIFICATION: Schema = Schema::new(
    "ImageVerificationConfig",
    &[opt("rules", List(&Struct(&IMAGE_VERIFICATION_RULE))).replace_by("image")],
);

pub(super) static IMAGE_VERIFICATION_RULE: Schema = Schema::new(
    "ImageVerificationRuleV1Alpha1",
    &[
        opt("image", Text),
        ptr("skip", Bool),
        ptr("deny", Bool),
        ptr("keyless", Struct(&IMAGE_KEYLESS_VERIFIER)),
        ptr("publicKey", Struct(&IMAGE_PUBLIC_KEY_VERIFIER)),
    ],
);

pub(super) static IMAGE_KEYLESS_VERIFIER: Schema = Schema::new(
    "ImageKeylessVerifierV1Alpha1",
    &[opt("issuer", Text), opt("subject", Text), opt("subjectRegex", Text)],
);

pub(super) static IMAGE_PUBLIC_KEY_VERIFIER: Schema =
    Schema::new("ImagePublicKeyVerifierV1Alpha1", &[opt("certificate", Text)]);

pub(super) static TRUSTED_ROOTS: Schema =
    Schema::new("TrustedRootsConfig", &[must("name", Text), must("certificates", Text)]);

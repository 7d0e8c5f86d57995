"""torchmetrics: regression, images, text, clustering, nominal, audio, detection, retrieval, segmentation, shape."""

import inspect

import torchmetrics
from programs import attempt, show
from torchmetrics import (
    audio,
    clustering,
    detection,
    image,
    multimodal,
    nominal,
    regression,
    retrieval,
    segmentation,
    shape,
    text,
)

import torch

torch.manual_seed(0)
preds, target = torch.rand(2, 30), torch.rand(2, 30)
rows, wanted = torch.rand(2, 30, 3), torch.rand(2, 30, 3)


def brief(result):
    """What is compared of a result: of a long tensor its shape and a weighted sum."""
    if isinstance(result, (tuple, list)):
        return [brief(item) for item in result]
    if isinstance(result, torch.Tensor) and result.numel() > 12:
        return result.shape, (
            result.double().nan_to_num() * torch.linspace(1, 2, result.numel()).view(result.shape)
        ).sum()
    return result


def value(metric, *batches):
    for batch in batches:
        metric.update(*batch)
    return brief(metric.compute())


for name in sorted(regression.__all__):
    kind = getattr(regression, name)
    known = inspect.signature(kind.__init__).parameters
    needed = {"p": 3} if name == "MinkowskiDistance" else {"threshold": 0.5} if name == "CriticalSuccessIndex" else {}
    for choice in ({}, {"num_outputs": 3}, {"squared": False, "num_outputs": 3}, {"reduction": "none"}, {"adjusted": 2},
                   {"variant": "a"}, {"power": 1.5}, {"log_prob": True}, {"normalization": "std"},
                   {"multioutput": "raw_values", "num_outputs": 3}):  # fmt: skip
        if not all(option in known for option in choice):
            continue
        batches = list(zip(rows, wanted, strict=True) if "num_outputs" in choice else zip(preds, target, strict=True))
        if name in ("CosineSimilarity", "KLDivergence", "JensenShannonDivergence"):
            batches = [
                (a / a.sum(-1, keepdim=True), b / b.sum(-1, keepdim=True)) for a, b in zip(rows, wanted, strict=True)
            ]
        if name == "ContinuousRankedProbabilityScore":
            batches = [(rows[0], wanted[0, :, 0]), (rows[1], wanted[1, :, 0])]
        show(name, choice)
        attempt(lambda: value(kind(**needed, **choice), *batches))

pictures = torch.rand(2, 4, 3, 48, 48)
noisy = (pictures + 0.1 * torch.randn(pictures.shape)).clamp(0, 1)
for name, options in (
    ("ErrorRelativeGlobalDimensionlessSynthesis", {}), ("PeakSignalNoiseRatio", {"data_range": 1.0}),
    ("PeakSignalNoiseRatio", {"data_range": (0.1, 0.9), "reduction": "none", "dim": (1, 2, 3)}),
    ("RelativeAverageSpectralError", {}), ("RootMeanSquaredErrorUsingSlidingWindow", {}),
    ("SpatialCorrelationCoefficient", {}), ("SpectralAngleMapper", {}), ("SpectralDistortionIndex", {}),
    ("StructuralSimilarityIndexMeasure", {"data_range": 1.0}),
    ("StructuralSimilarityIndexMeasure", {"gaussian_kernel": False, "kernel_size": 7, "return_full_image": True}),
    ("MultiScaleStructuralSimilarityIndexMeasure", {"data_range": 1.0, "betas": (0.4, 0.6)}),
    ("UniversalImageQualityIndex", {}), ("VisualInformationFidelity", {}),
):  # fmt: skip
    show(name, options)
    attempt(lambda: value(getattr(image, name)(**options), *zip(noisy, pictures, strict=True)))
attempt(
    lambda: value(image.PeakSignalNoiseRatioWithBlockedEffect(data_range=1.0), (noisy[0][:, :1], pictures[0][:, :1]))
)
attempt(lambda: value(image.TotalVariation(), (pictures[0],), (pictures[1],)))
low = {"ms": torch.rand(2, 3, 16, 16), "pan": torch.rand(2, 3, 32, 32)}
attempt(lambda: value(image.SpatialDistortionIndex(), (torch.rand(2, 3, 32, 32), low)))
attempt(lambda: value(image.QualityWithNoReference(), (torch.rand(2, 3, 32, 32), low)))
features = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten())
features.num_features = 12
for name, options in (
    ("fid.FrechetInceptionDistance", {}),
    ("kid.KernelInceptionDistance", {"subset_size": 8, "subsets": 3}),
):
    module, _, short = name.partition(".")
    metric = getattr(__import__(f"torchmetrics.image.{module}", fromlist=["x"]), short)(
        feature=features, normalize=True, **options
    )
    for real, fake in zip(pictures, noisy, strict=True):
        metric.update(real.repeat(4, 1, 1, 1), real=True)
        metric.update(fake.repeat(4, 1, 1, 1), real=False)
    show(name)
    attempt(metric.compute)

said = ["the cat sat on the mat", "hello there my friend", "a b c d"]
meant = ["the cat is on the mat", "hello there general kenobi", "a b d c"]
for name in (
    "CharErrorRate",
    "EditDistance",
    "ExtendedEditDistance",
    "MatchErrorRate",
    "WordErrorRate",
    "WordInfoLost",
    "WordInfoPreserved",
):
    show(name, value(getattr(text, name)(), (said[:2], meant[:2]), (said[2:], meant[2:])))
for name, options in (
    ("BLEUScore", {"n_gram": 2}), ("BLEUScore", {"smooth": True}), ("CHRFScore", {}),
    ("SacreBLEUScore", {"n_gram": 2, "tokenize": "13a"}), ("SacreBLEUScore", {"tokenize": "char"}),
    ("TranslationEditRate", {}),
):  # fmt: skip
    show(name, options, value(getattr(text, name)(**options), (said, [[m] for m in meant])))
attempt(lambda: value(text.ROUGEScore(rouge_keys=("rouge1", "rouge2", "rougeL"), use_stemmer=False), (said, meant)))
show(value(text.Perplexity(ignore_index=0), (torch.rand(2, 8, 5).softmax(-1), torch.randint(0, 5, (2, 8)))))
answers = {"answers": {"answer_start": [97], "text": ["1976"]}, "id": "5"}
show(value(text.SQuAD(), ([{"prediction_text": "in 1976", "id": "5"}], [answers])))

labels, truth = torch.randint(0, 4, (2, 30)), torch.randint(0, 4, (2, 30))
for name in sorted(clustering.__all__):
    kind = getattr(clustering, name)
    data = rows if name in ("CalinskiHarabaszScore", "DaviesBouldinScore", "DunnIndex") else labels
    options = {"num_classes": 4} if name == "ClusterAccuracy" else {}
    show(name)
    attempt(lambda: value(kind(**options), *zip(data, truth, strict=True)))
for name in sorted(nominal.__all__):
    show(name)
    if name == "FleissKappa":
        attempt(lambda: value(nominal.FleissKappa(mode="counts"), (torch.randint(0, 9, (10, 4)),)))
    else:
        attempt(lambda: value(getattr(nominal, name)(num_classes=4), *zip(labels, truth, strict=True)))

sound = torch.randn(2, 3, 800)
heard = sound + 0.2 * torch.randn(2, 3, 800)
for name in sorted(audio.__all__):
    show(name)
    if name == "PermutationInvariantTraining":
        measure = torchmetrics.functional.audio.scale_invariant_signal_noise_ratio
        attempt(
            lambda: value(
                audio.PermutationInvariantTraining(measure, eval_func="max"),
                *zip(heard[None], sound[None], strict=True),
            )
        )
    elif name.startswith("Complex"):
        spectrum = torch.randn(2, 2, 9, 7, 2)
        attempt(lambda: value(getattr(audio, name)(), (spectrum[0], spectrum[1])))
    else:
        attempt(lambda: value(getattr(audio, name)(), *zip(heard, sound, strict=True)))

panoptic = torch.stack([torch.randint(0, 4, (2, 6, 6)), torch.randint(0, 3, (2, 6, 6))], -1)
other = torch.stack([torch.randint(0, 4, (2, 6, 6)), torch.randint(0, 3, (2, 6, 6))], -1)
for name in ("PanopticQuality", "ModifiedPanopticQuality"):
    show(
        name,
        value(getattr(detection, name)(things={0, 1}, stuffs={2, 3}), (panoptic, other)),
        value(getattr(detection, name)(things={0, 1}, stuffs={2, 3}), (panoptic, panoptic)),
    )

queries = torch.arange(30) // 6
for name in sorted(retrieval.__all__):
    kind = getattr(retrieval, name)
    known = inspect.signature(kind.__init__).parameters
    for choice in (
        {},
        {"top_k": 2},
        {"empty_target_action": "skip"},
        {"aggregation": "median"},
        {"max_k": 4, "adaptive_k": True},
    ):
        if all(option in known for option in choice):
            show(name, choice)
            attempt(lambda: value(kind(**choice), *((p, t > 0.6, queries) for p, t in zip(preds, target, strict=True))))

masks, seen = torch.randint(0, 3, (2, 4, 10, 10)), torch.randint(0, 3, (2, 4, 10, 10))
for name in sorted(segmentation.__all__):
    for choice in ({}, {"include_background": False}, {"per_class": True}, {"distance_metric": "chessboard"}):
        kind = getattr(segmentation, name)
        if all(option in inspect.signature(kind.__init__).parameters for option in choice):
            show(name, choice)
            attempt(lambda: value(kind(num_classes=3, input_format="index", **choice), *zip(masks, seen, strict=True)))
show(value(shape.ProcrustesDisparity(), (torch.rand(2, 10, 3), torch.rand(2, 10, 3))))
show(multimodal.__all__)
attempt(lambda: value(multimodal.LipVertexError([0, 1, 2]), (torch.rand(10, 12, 3), torch.rand(10, 12, 3))))

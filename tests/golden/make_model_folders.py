#!/usr/bin/env python3
"""Makes tests/data/folders/folders.json: what sentence-transformers makes of model folders whose small files differ.

    make_model_folders.py          (with the packages of tests/requirements-golden.txt; needs no network)

Every case is the model folder tests/data/onnx/tiny with some files changed: `files` maps a path to its JSON, or to null:
not there; `moved` is a folder that config.json, tokenizer.json and model.safetensors lie in instead.
The library opens the folder, and its vectors of a few texts are kept: of encode(), encode_query() and
encode_document(), not normalised by anything but the model. `refused` cases have none: there Dipper says
what it does not do, and the case names the word that its message must have.
"""
import json
import pathlib
import shutil
import tempfile

TOP = pathlib.Path(__file__).resolve().parents[2]
BASE, OUT = TOP / "tests/data/onnx/tiny", TOP / "tests/data/folders"
TEXTS = ["cat", "The River flows; boats sail. \u00c9T\u00c9 \u4e2d\u6587", "salt pepper " * 12]
CASED = {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True, "strip_accents": None, "lowercase": False}


def read(path):
    return json.loads((BASE / path).read_text(encoding="utf-8"))


def changed(path, **fields):
    return {path: {**read(path), **fields}}


def modules(*kinds, first=""):
    paths = [first, *(f"{i}_{kind.split('.')[-1]}" for i, kind in enumerate(kinds[1:], 1))]
    return {"modules.json": [{"idx": i, "name": str(i), "path": path, "type": kind if "." in kind else f"sentence_transformers.models.{kind}"}
                             for i, (kind, path) in enumerate(zip(kinds, paths))]}


def pooling(**fields):
    return {"1_Pooling/config.json": fields}


def prompts(texts, default=None, **more):
    return {"config_sentence_transformers.json": {"prompts": texts, "default_prompt_name": default, **more}}


ST54 = {  # as sentence-transformers 6.2.0 saves it
    "modules.json": [
        {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.base.modules.transformer.Transformer"},
        {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.sentence_transformer.modules.pooling.Pooling"},
        {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.base.modules.normalize.Normalize"}],
    "1_Pooling/config.json": {"embedding_dimension": 16, "pooling_mode": "mean", "include_prompt": True},
    "sentence_bert_config.json": {
        "transformer_task": "feature-extraction", "module_output_name": "token_embeddings",
        "modality_config": {"text": {"method": "forward", "method_output_name": "last_hidden_state"}}},
    "tokenizer_config.json": {
        "backend": "tokenizers", "cls_token": "[CLS]", "do_lower_case": True, "is_local": True, "mask_token": "[MASK]", "max_length": 8,
        "model_max_length": 12, "never_split": None, "pad_to_multiple_of": None, "pad_token": "[PAD]", "padding_side": "right",
        "sep_token": "[SEP]", "stride": 0, "strip_accents": None, "tokenize_chinese_chars": True, "tokenizer_class": "BertTokenizer",
        "truncation_side": "right", "truncation_strategy": "longest_first", "unk_token": "[UNK]"},
}

TOKENIZER = {"unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "pad_token": "[PAD]"}
CLASSED = {**TOKENIZER, "tokenizer_class": "BertTokenizer"}
GENERIC = {**TOKENIZER, "tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 24}


def tokenizer(**fields):
    return {"tokenizer_config.json": {**CLASSED, **fields}}


SAID = {"query": "the river: ", "document": "salt of "}
CASES = [
    # modules.json and pooling, in both spellings
    ("as it is", {}),
    ("saved by sentence-transformers 6.2.0", ST54),
    ("pooling_mode cls", pooling(embedding_dimension=16, pooling_mode="cls")),
    ("pooling_mode max", pooling(embedding_dimension=16, pooling_mode=["max"])),
    ("pooling_mode lasttoken", pooling(embedding_dimension=16, pooling_mode="lasttoken")),
    ("pooling_mode_cls_token", pooling(word_embedding_dimension=16, pooling_mode_cls_token=True, pooling_mode_mean_tokens=False)),
    ("pooling_mode_lasttoken", pooling(word_embedding_dimension=16, pooling_mode_lasttoken=True)),
    ("no mode chosen", pooling(word_embedding_dimension=16, pooling_mode_mean_tokens=False)),
    ("no mode at all", pooling(word_embedding_dimension=16)),
    ("both spellings", pooling(embedding_dimension=16, pooling_mode="max", pooling_mode_cls_token=True)),
    ("no Normalize", modules("Transformer", "Pooling")),
    ("Dropout", {**modules("Transformer", "Pooling", "Dropout", "Normalize"), "2_Dropout/config.json": {"dropout": 0.5}}),
    ("Normalize with its config", {"2_Normalize/config.json": {"module_input_name": "sentence_embedding"}}),
    ("no modules.json", {"modules.json": None, "1_Pooling/config.json": None}),
    ("no modules.json, with the others' files", {"modules.json": None, "sentence_bert_config.json": {"max_seq_length": 5}, **prompts(SAID, "query")}),
    ("0_Transformer", modules("Transformer", "Pooling", "Normalize", first="0_Transformer"), {"moved": "0_Transformer"}),
    # how long a text may be
    ("max_seq_length", {"sentence_bert_config.json": {"max_seq_length": 7}}),
    ("max_seq_length null", {"sentence_bert_config.json": {"max_seq_length": None}}),
    ("no sentence_bert_config.json", {"sentence_bert_config.json": None}),
    ("sentence_roberta_config.json", {"sentence_bert_config.json": None, "sentence_roberta_config.json": {"max_seq_length": 6}}),
    ("model_max_length", {"sentence_bert_config.json": None, **tokenizer(model_max_length=9)}),
    ("max_len", {"sentence_bert_config.json": None, **tokenizer(max_len=10)}),
    ("model_max_length 1e30", {"sentence_bert_config.json": None, **tokenizer(model_max_length=int(1e30))}),
    ("model_max_length below max_seq_length", {"sentence_bert_config.json": {"max_seq_length": 14}, **tokenizer(model_max_length=9)}),
    ("model_max_length above max_seq_length", {"sentence_bert_config.json": {"max_seq_length": 9}, **tokenizer(model_max_length=14)}),
    ("tokenizer_args", {"sentence_bert_config.json": {"max_seq_length": 14, "tokenizer_args": {"model_max_length": 8}}}),
    ("processor_kwargs", {"sentence_bert_config.json": {"processor_kwargs": {"model_max_length": 8}, "model_kwargs": {}}}),
    ("truncation and padding in tokenizer.json", changed(
        "tokenizer.json", truncation={"direction": "Right", "max_length": 4, "strategy": "LongestFirst", "stride": 0},
        padding={"strategy": {"Fixed": 16}, "direction": "Left", "pad_to_multiple_of": None, "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]"})),
    # the tokenizer's other file
    ("do_lower_case false", tokenizer(do_lower_case=False)),
    ("strip_accents false", tokenizer(strip_accents=False)),
    ("strip_accents true, cased", tokenizer(do_lower_case=False, strip_accents=True)),
    ("tokenize_chinese_chars false", tokenizer(tokenize_chinese_chars=False)),
    ("cased tokenizer.json, nothing said", changed("tokenizer.json", normalizer=CASED)),
    ("cased tokenizer.json, BertTokenizer", {**changed("tokenizer.json", normalizer=CASED), **tokenizer()}),
    ("cased tokenizer.json, do_lower_case false", {**changed("tokenizer.json", normalizer=CASED), **tokenizer(do_lower_case=False)}),
    ("cased tokenizer.json, PreTrainedTokenizerFast", {**changed("tokenizer.json", normalizer=CASED), "tokenizer_config.json": GENERIC}),
    ("PreTrainedTokenizerFast, do_lower_case false", {"tokenizer_config.json": {**GENERIC, "do_lower_case": False}}),
    ("do_lower_case of sentence_bert_config.json", {
        **changed("tokenizer.json", normalizer=CASED), "tokenizer_config.json": GENERIC,
        "sentence_bert_config.json": {"max_seq_length": 24, "do_lower_case": True}}),
    ("do_lower_case of both", {"sentence_bert_config.json": {"max_seq_length": 24, "do_lower_case": True}, **tokenizer(do_lower_case=False)}),
    ("TemplateProcessing", changed("tokenizer.json", post_processor={
        "type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}},
                                                 {"SpecialToken": {"id": "[SEP]", "type_id": 0}}],
        "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]}, "[SEP]": {"id": "[SEP]", "ids": [3], "tokens": ["[SEP]"]}}})),
    ("RobertaProcessing", {**changed("tokenizer.json", post_processor={
        "type": "RobertaProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2], "trim_offsets": True, "add_prefix_space": False}),
        "tokenizer_config.json": GENERIC}),
    # config.json
    ("gelu_python", changed("config.json", hidden_act="gelu_python")),
    ("layer_norm_eps", changed("config.json", layer_norm_eps=0.1)),
    ("type_vocab_size", changed("config.json", type_vocab_size=2)),
    ("is_decoder false", changed("config.json", is_decoder=False, add_cross_attention=False)),
    # prompts
    ("prompts", prompts(SAID)),
    ("default_prompt_name", prompts({"query": "query: ", "document": "the river: "}, "document")),
    ("default_prompt_name query, without prompts", prompts({}, "query")),
    ("a prompt of another name by default", prompts({"passage of": "salt "}, "passage of")),
    ("an empty prompt by default", prompts({"query": "", "document": "cat"}, "query")),
    ("a prompt that is null", prompts({"query": None, "document": "cat"}, "query")),
    ("a prompt that the text's first word ends", prompts({"query": "sal", "document": "wi"}, "document")),
    ("a long prompt", prompts({"query": "cat dog " * 9, "document": "boat"})),
    *[(f"include_prompt false, {mode}", {**pooling(embedding_dimension=16, pooling_mode=mode, include_prompt=False), **prompts(SAID, "query")})
      for mode in ("mean", "cls", "max", "lasttoken")],
    ("include_prompt false without a prompt", pooling(embedding_dimension=16, pooling_mode="mean", include_prompt=False)),
]

# Folders that Dipper refuses, each with a word of its message.
REFUSED = [
    ("several pooling modes", pooling(embedding_dimension=16, pooling_mode=["mean", "cls"]), "2 pooling modes"),
    ("several pooling flags", pooling(word_embedding_dimension=16, pooling_mode_cls_token=True, pooling_mode_max_tokens=True), "2 pooling modes"),
    ("mean_sqrt_len_tokens", pooling(embedding_dimension=16, pooling_mode="mean_sqrt_len_tokens"), "mean_sqrt_len_tokens"),
    ("weightedmean", pooling(word_embedding_dimension=16, pooling_mode_weightedmean_tokens=True), "weightedmean"),
    ("another width", pooling(embedding_dimension=8, pooling_mode="mean"), "embedding_dimension 8"),
    ("Dense", modules("Transformer", "Pooling", "Dense"), "models.Dense"),
    ("LayerNorm", modules("Transformer", "Pooling", "LayerNorm"), "models.LayerNorm"),
    ("StaticEmbedding", modules("StaticEmbedding"), "models.StaticEmbedding"),
    ("a module of its own", modules("custom_st.Transformer", "Pooling"), "custom_st.Transformer"),
    ("Normalize of tokens", {"2_Normalize/config.json": {"module_input_name": "token_embeddings"}}, "token_embeddings"),
    ("a module outside", {"modules.json": [{"idx": 0, "name": "0", "path": "../x", "type": "sentence_transformers.models.Transformer"}]}, "path"),
    ("no Pooling", modules("Transformer"), "no Pooling"),
    ("fill-mask", {"sentence_bert_config.json": {"transformer_task": "fill-mask"}}, "fill-mask"),
    ("query_length", {"sentence_bert_config.json": {"query_length": 8}}, "query_length"),
    ("query_expansion", {"sentence_bert_config.json": {"query_expansion": {"length": 8}}}, "query_expansion"),
    ("processing_kwargs", {"sentence_bert_config.json": {"processing_kwargs": {"text": {"max_length": 4}}}}, "processing_kwargs"),
    ("model_args", {"sentence_bert_config.json": {"model_args": {"rotary_scaling_factor": 2}}}, "rotary_scaling_factor"),
    ("truncation_side", tokenizer(truncation_side="left"), "truncation_side"),
    ("add_eos_token", tokenizer(add_eos_token=True), "add_eos_token"),
    ("split_special_tokens", tokenizer(split_special_tokens=True), "split_special_tokens"),
    ("relu", changed("config.json", hidden_act="relu"), "relu"),
    ("gelu_new", changed("config.json", hidden_act="gelu_new"), "gelu_new"),
    ("relative_key", changed("config.json", position_embedding_type="relative_key"), "relative_key"),
    ("is_decoder", changed("config.json", is_decoder=True), "is_decoder"),
    ("type_vocab_size of another table", changed("config.json", type_vocab_size=3), "token_type_embeddings"),
    ("auto_map", changed("config.json", auto_map={"AutoModel": "modeling.Other"}), "auto_map"),
    ("quantization_config", changed("config.json", quantization_config={"quant_method": "bitsandbytes"}), "quantization_config"),
    ("another model_type", changed("config.json", model_type="xlm-roberta"), "xlm-roberta"),
    ("a sparse encoder", prompts({}, None, model_type="SparseEncoder"), "SparseEncoder"),
    ("truncate_dim", prompts({}, None, truncate_dim=8), "truncate_dim"),
    ("a default prompt that is not there", prompts({"query": "q"}, "passage"), "passage"),
    ("an adapter", {"adapter_config.json": {"peft_type": "LORA"}}, "adapter_config.json"),
    ("a prompt longer than a text", prompts({"query": "cat " * 30}), "leaves no room"),
]


def write_folder(folder, files, moved=None):
    """The folder of a case. tests/python/test_model_folders.py has the same."""
    shutil.copytree(BASE, folder, ignore=shutil.ignore_patterns("onnx"))
    if moved:
        (folder / moved).mkdir()
        for name in ("config.json", "tokenizer.json", "model.safetensors", "sentence_bert_config.json"):
            (folder / name).rename(folder / moved / name)
    for path, content in files.items():
        (folder / path).parent.mkdir(exist_ok=True)
        if content is None:
            (folder / path).unlink()
        else:
            (folder / path).write_text(json.dumps(content), encoding="utf-8")


def vectors_of(folder):
    from sentence_transformers import SentenceTransformer
    model = SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    # One text at a time: no padding, so that nothing but the text decides the vector.
    return {name: [[round(float(x), 7) for x in encode(text)] for text in TEXTS]
            for name, encode in (("plain", model.encode), ("query", model.encode_query), ("document", model.encode_document))}


def main():
    cases = []
    for name, files, *more in CASES:
        with tempfile.TemporaryDirectory() as scratch:
            folder = pathlib.Path(scratch) / "model"
            write_folder(folder, files, **(more[0] if more else {}))
            print(name, flush=True)
            cases.append({"name": name, "files": files, **(more[0] if more else {}), "vectors": vectors_of(folder)})
    cases += [{"name": name, "files": files, "refused": word} for name, files, word in REFUSED]
    OUT.mkdir(exist_ok=True)
    lines = ",\n".join(json.dumps(case) for case in cases)
    (OUT / "folders.json").write_text(f'{{"texts": {json.dumps(TEXTS)},\n"cases": [\n{lines}\n]}}\n', encoding="utf-8")


if __name__ == "__main__":
    main()

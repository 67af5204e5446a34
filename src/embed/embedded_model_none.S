/* embedded_model_none.S: no model: the symbols of embedded_model.h with nothing between them. */
    .section .rodata
    .balign 64
    .globl embedded_model_begin
    .globl embedded_model_end
    .hidden embedded_model_begin
    .hidden embedded_model_end
embedded_model_begin:
embedded_model_end:
    .section .note.GNU-stack, "", %progbits

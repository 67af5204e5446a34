/* embedded_model.S: the packed model, as read-only data of the program. PACKED_MODEL is the file's name. */
    .section .rodata
    .balign 64
    .globl embedded_model_begin
    .globl embedded_model_end
    .hidden embedded_model_begin
    .hidden embedded_model_end
embedded_model_begin:
    .incbin PACKED_MODEL
embedded_model_end:
    .section .note.GNU-stack, "", %progbits

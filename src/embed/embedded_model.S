/* embedded_model.S: the packed model as read-only data of the program. PACKED_MODEL is the name of the
 * model's file. For a program without a model, the build does not define PACKED_MODEL. */
    .section .rodata
    .balign 64
    .globl embedded_model_begin
    .globl embedded_model_end
    .hidden embedded_model_begin
    .hidden embedded_model_end
embedded_model_begin:
#ifdef PACKED_MODEL
    .incbin PACKED_MODEL
#endif
embedded_model_end:
    .section .note.GNU-stack, "", %progbits

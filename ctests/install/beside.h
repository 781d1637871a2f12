unsigned long beside(unsigned number);
